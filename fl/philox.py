"""Philox4x32-10 (Salmon et al., SC 2011): a random function of a 128-bit counter and a 64-bit key.

`block` is the compiled form used by the perturbation kernels; `reference` is the same in numpy, for tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.directions.compiled import inlined, uint32, uint64

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

_M0, _M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
_W0, _W1 = np.uint32(WEYL[0]), np.uint32(WEYL[1])
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


@inlined
def block(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit words of the counter (c0, c1, c2, c3) under the key (k0, k1), all uint32."""
    for _ in range(ROUNDS):
        p0 = uint64(c0) * _M0
        p1 = uint64(c2) * _M1
        c0, c1, c2, c3 = (
            uint32(uint32(p1 >> _SHIFT) ^ c1 ^ k0),
            uint32(p1 & _LOW),
            uint32(uint32(p0 >> _SHIFT) ^ c3 ^ k1),
            uint32(p0 & _LOW),
        )
        k0 = uint32(k0 + _W0)
        k1 = uint32(k1 + _W1)
    return c0, c1, c2, c3


def reference(counter: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Philox4x32-10 of counters (N, 4) under one key, in plain numpy.  Returns (N, 4) uint32."""
    c = counter.astype(np.uint64).T.copy()
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c[0] * np.uint64(MULTIPLIERS[0]), c[2] * np.uint64(MULTIPLIERS[1])
        c = np.stack(
            [(p1 >> _SHIFT) ^ c[1] ^ np.uint64(k0), p1 & _LOW, (p0 >> _SHIFT) ^ c[3] ^ np.uint64(k1), p0 & _LOW]
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c.T.astype(np.uint32)
