"""Rademacher perturbations as a pure function of (seed, perturbation, parameter, index), and the weights' canonical arithmetic.

The sign of element i of a parameter in perturbation j of a round with public seed s is bit `i % 128` of
Philox4x32-10(counter = (i // 128, j, name_lo, name_hi), key = s), where name_lo and name_hi are the first 64 bits of the
parameter's name under SHA-256: it does not depend on which other parameters are trained, on shapes, chunks or threads.

Canonical arithmetic of a round (fp32, every operation rounded, in this order, for each weight):

    for j in perturbations:  w = w + mu z_j;  w = w - 2 mu z_j;  w = w + mu z_j        (probe: plus, minus, restored)
    for j in perturbations:  w = w - step_j z_j                                        (update)

Restoring does not always return the old bits; the log of rounds, not the start, defines the weights.  Since z is +-1 every
product is exact, so fused multiply-adds cannot change a bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit, uint32
from numpy.typing import NDArray

from fl.philox import block, reference
from fl.update import RoundUpdate


def name_key(name: str) -> tuple[int, int]:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def signs(name: str, size: int, seed: int, perturbation: int) -> NDArray[np.float32]:
    """z (size,) of +-1 by the definition above, in plain numpy: the reference that the kernels are tested against."""
    blocks = -(-size // 128)
    low, high = name_key(name)
    counter = np.empty((blocks, 4), np.uint32)
    counter[:, 0] = np.arange(blocks)
    counter[:, 1:] = (perturbation, low, high)
    words = reference(counter, (seed & 0xFFFFFFFF, seed >> 32))
    bits = (words[:, :, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    return (1.0 - 2.0 * bits.reshape(-1)[:size]).astype(np.float32)


@njit(cache=True, nogil=True)
def _pass(weights, low, high, key0, key1, perturbations, amounts):
    """w = fl(w + amounts[i] * z_(perturbations[i])) for i in order, for every weight; one pass over memory."""
    size = weights.size
    one = uint32(1)
    for start in range(0, size, 128):
        stop = min(start + 128, size)
        for i in range(perturbations.size):
            words = block(
                uint32(start // 128),
                uint32(perturbations[i]),
                uint32(low),
                uint32(high),
                uint32(key0[i]),
                uint32(key1[i]),
            )
            plus = amounts[i]
            minus = -plus
            for w in range(4):
                word = words[w]
                base = start + 32 * w
                for b in range(min(32, stop - base)):
                    weights[base + b] += minus if (word >> uint32(b)) & one else plus


class Perturbation:
    """In-place canonical arithmetic on a set of named fp32 parameters.

    `parameters` maps names to contiguous fp32 arrays that share memory with the model.
    """

    def __init__(self, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        for name, array in parameters.items():
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                raise ValueError(
                    f"{name}: {array.dtype}, contiguous={array.flags.c_contiguous}; need contiguous float32"
                )
        self._flat = {name: array.reshape(-1) for name, array in parameters.items()}
        self._keys = {name: name_key(name) for name in parameters}

    @property
    def size(self) -> int:
        return sum(array.size for array in self._flat.values())

    def _run(self, operations: Sequence[tuple[int, int, float]]) -> None:
        """Apply (seed, perturbation, amount) operations, in order, in one pass."""
        if not operations:
            return
        seeds = np.array([s for s, _, _ in operations], np.uint64)
        key0, key1 = (seeds & np.uint64(0xFFFFFFFF)).astype(np.uint32), (seeds >> np.uint64(32)).astype(np.uint32)
        which = np.array([j for _, j, _ in operations], np.uint32)
        amounts = np.array([a for _, _, a in operations], np.float32)
        for name, array in self._flat.items():
            low, high = self._keys[name]
            _pass(array, low, high, key0, key1, which, amounts)

    def plus(self, seed: int, perturbation: int, mu: float) -> None:
        self._run([(seed, perturbation, mu)])

    def plus_to_minus(self, seed: int, perturbation: int, mu: float) -> None:
        self._run([(seed, perturbation, -2.0 * mu)])

    def restore(self, seed: int, perturbation: int, mu: float) -> None:
        self._run([(seed, perturbation, mu)])

    def update(self, round_update: RoundUpdate) -> None:
        self._run([(round_update.seed, j, -step) for j, step in enumerate(round_update.steps)])

    def replay(self, updates: Sequence[RoundUpdate], fused: int = 16) -> None:
        """Repeat whole rounds, probes included, `fused` rounds a pass: the same bits as having lived through them."""
        for start in range(0, len(updates), fused):
            operations: list[tuple[int, int, float]] = []
            for u in updates[start : start + fused]:
                for j in range(u.probes):
                    operations += [(u.seed, j, u.mu), (u.seed, j, -2.0 * u.mu), (u.seed, j, u.mu)]
                operations += [(u.seed, j, -step) for j, step in enumerate(u.steps)]
            self._run(operations)


def digest(parameters: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 of names, shapes and little-endian fp32 bytes, in the order of names."""
    state = hashlib.sha256()
    for name in sorted(parameters):
        array = parameters[name]
        state.update(f"{name}{array.shape}".encode())
        state.update(np.ascontiguousarray(array, "<f4").tobytes())
    return state.hexdigest()
