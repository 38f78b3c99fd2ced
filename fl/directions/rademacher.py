"""Rademacher directions: fair signs, 128 of them from one call of Philox4x32-10.

The flattened parameter is cut into chunks of 4,096 elements.  The sign of element i, r = i % 4096 and q = r % 128, is bit
r // 128 of word q // 32 of

    Philox4x32-10(counter = (32 (i // 4096) + q % 32, j, name_lo, name_hi), key = seed)        bit 1 means -1

so that the 128 words of a chunk are used side by side, a bit at a time: every loop of the kernel is a plain vector loop.
Since z is +-1 products with it are exact, and fused multiply-adds could not change a bit.
"""

from __future__ import annotations

import numpy as np
from numba import uint32
from numpy.typing import NDArray

from fl.directions.compiled import compiled, inlined
from fl.directions.direction import Operations, name_key
from fl.philox import block, reference

BLOCKS = 32  # Philox calls a chunk
WORDS = 4 * BLOCKS
CHUNK = 32 * WORDS


@inlined
def _draw(words, counter, j, low, high, k0, k1):
    for lane in range(BLOCKS):
        a, b, c, d = block(uint32(counter + uint32(lane)), j, low, high, k0, k1)
        words[0, lane], words[1, lane], words[2, lane], words[3, lane] = a, b, c, d


@inlined
def _expand(drawn, bits):
    """The chunk's 4,096 bits as the floats +1 and -1: bit 31 is a float's sign."""
    for bit in range(32):
        shift = uint32(31 - bit)
        for q in range(WORDS):
            bits[bit * WORDS + q] = ((drawn[q] << shift) & uint32(0x80000000)) | uint32(0x3F800000)


@inlined
def add(w, z, amounts, at, end):
    """w = fl(w + fl(amount z)) for the amounts [at, end) in order.  Several share a trip through the cache."""
    while at < end:
        if end - at >= 4:
            a, b, c, d = amounts[at], amounts[at + 1], amounts[at + 2], amounts[at + 3]
            for i in range(w.size):
                v = z[i]
                w[i] = (((w[i] + a * v) + b * v) + c * v) + d * v
            at += 4
        elif end - at >= 2:
            a, b = amounts[at], amounts[at + 1]
            for i in range(w.size):
                v = z[i]
                w[i] = (w[i] + a * v) + b * v
            at += 2
        else:
            a = amounts[at]
            for i in range(w.size):
                w[i] = w[i] + a * z[i]
            at += 1


@compiled
def _apply(weights, first, low, high, key0, key1, perturbations, starts, amounts):
    words = np.empty((4, BLOCKS), np.uint32)
    drawn = words.reshape(-1)
    bits = np.empty(CHUNK, np.uint32)
    z = bits.view(np.float32)
    for start in range(0, weights.size, CHUNK):
        w = weights[start : start + CHUNK]
        counter = uint32((first + start) // 128)
        for d in range(perturbations.size):
            _draw(words, counter, uint32(perturbations[d]), uint32(low), uint32(high), uint32(key0[d]), uint32(key1[d]))
            _expand(drawn, bits)
            add(w, z, amounts, starts[d], starts[d + 1])


class Rademacher:
    name = "rademacher"
    chunk = CHUNK

    def apply(self, parameter: str, weights: NDArray[np.float32], first: int, operations: Operations) -> None:
        low, high = name_key(parameter)
        o = operations
        _apply(weights, first, low, high, o.key0, o.key1, o.perturbations, o.starts, o.amounts)

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        return signs(parameter, int(np.prod(shape)), seed, perturbation).reshape(shape)


def signs(parameter: str, size: int, seed: int, perturbation: int) -> NDArray[np.float32]:
    """z (size,) of +-1 by the definition above, in plain numpy: the reference that kernels are tested against."""
    chunks = -(-size // CHUNK)
    low, high = name_key(parameter)
    counter = np.empty((chunks * BLOCKS, 4), np.uint32)
    counter[:, 0] = np.arange(chunks * BLOCKS)
    counter[:, 1:] = (perturbation, low, high)
    drawn = reference(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(chunks, BLOCKS, 4)
    words = drawn.transpose(0, 2, 1).reshape(chunks, 1, WORDS)
    bits = (words >> np.arange(32, dtype=np.uint32)[:, None]) & np.uint32(1)
    return (1.0 - 2.0 * bits.reshape(-1)[:size]).astype(np.float32)
