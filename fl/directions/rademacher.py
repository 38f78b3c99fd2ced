"""Rademacher directions: fair signs, 128 of them from one call of Philox4x32-10.

The flattened parameter is cut into chunks of 4,096 elements.  The sign of element i, r = i % 4096 and q = r % 128, is bit
r // 128 of word q // 32 of

    Philox4x32-10(counter = (32 (i // 4096) + q % 32, j, name_lo, name_hi), key = seed)        bit 1 means -1

so that the 128 words of a chunk are used side by side, a bit at a time: every loop of the kernel is a plain vector loop.
A sign is put on an amount by an exclusive or with its sign bit, so z itself is never written down.  Products with +-1 are
exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.directions.compiled import as_float, compiled, inlined, uint32
from fl.directions.direction import Direction, Operations, name_key, reference_words
from fl.philox import block

BLOCKS = 32  # Philox calls a chunk
WORDS = 4 * BLOCKS
CHUNK = 32 * WORDS


@inlined
def draw(words, counter, j, low, high, k0, k1):
    """The chunk's 128 words, (4, 32), from the 32 calls that start at `counter`."""
    for lane in range(BLOCKS):
        a, b, c, d = block(uint32(counter + uint32(lane)), j, low, high, k0, k1)
        words[0, lane], words[1, lane], words[2, lane], words[3, lane] = a, b, c, d


@inlined
def expand(drawn, bits):
    """The chunk's 4,096 bits as the floats +1 and -1: bit 31 is a float's sign."""
    for bit in range(32):
        shift = uint32(31 - bit)
        for q in range(WORDS):
            bits[bit * WORDS + q] = ((drawn[q] << shift) & uint32(0x80000000)) | uint32(0x3F800000)


@inlined
def _add(w, drawn, amounts, at, end):
    """w = fl(w +- amount) for the amounts [at, end), given by their bits, in order.  w is a whole chunk."""
    sign = uint32(0x80000000)
    while at < end:
        if end - at >= 4:
            a, b, c, d = amounts[at], amounts[at + 1], amounts[at + 2], amounts[at + 3]
            for bit in range(32):
                shift, row = uint32(31 - bit), bit * WORDS
                for q in range(WORDS):
                    s = uint32(drawn[q] << shift) & sign
                    x = w[row + q] + as_float(uint32(a ^ s))
                    x = x + as_float(uint32(b ^ s))
                    x = x + as_float(uint32(c ^ s))
                    w[row + q] = x + as_float(uint32(d ^ s))
            at += 4
        elif end - at >= 2:
            a, b = amounts[at], amounts[at + 1]
            for bit in range(32):
                shift, row = uint32(31 - bit), bit * WORDS
                for q in range(WORDS):
                    s = uint32(drawn[q] << shift) & sign
                    w[row + q] = (w[row + q] + as_float(uint32(a ^ s))) + as_float(uint32(b ^ s))
            at += 2
        else:
            a = amounts[at]
            for bit in range(32):
                shift, row = uint32(31 - bit), bit * WORDS
                for q in range(WORDS):
                    s = uint32(drawn[q] << shift) & sign
                    w[row + q] = w[row + q] + as_float(uint32(a ^ s))
            at += 1


@compiled
def _apply(weights, first, low, high, key0, key1, perturbations, starts, amounts):
    words = np.empty((4, BLOCKS), np.uint32)
    drawn = words.reshape(-1)
    last = np.zeros(CHUNK, np.float32)  # a chunk that is not whole is filled up here
    for start in range(0, weights.size, CHUNK):
        whole = start + CHUNK <= weights.size
        w = weights[start : start + CHUNK] if whole else last
        if not whole:
            last[: weights.size - start] = weights[start:]
        counter = uint32((first + start) // 128)
        for d in range(perturbations.size):
            draw(words, counter, uint32(perturbations[d]), uint32(low), uint32(high), uint32(key0[d]), uint32(key1[d]))
            _add(w, drawn, amounts, starts[d], starts[d + 1])
        if not whole:
            weights[start:] = last[: weights.size - start]


class Rademacher(Direction):
    name = "rademacher"
    chunk = CHUNK

    def apply(self, parameter: str, weights: NDArray[np.float32], first: int, operations: Operations) -> None:
        low, high = name_key(parameter)
        o = operations
        _apply(weights, first, low, high, o.key0, o.key1, o.perturbations, o.starts, o.amounts.view(np.uint32))

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        return signs(parameter, int(np.prod(shape)), seed, perturbation).reshape(shape)


def signs(parameter: str, size: int, seed: int, perturbation: int) -> NDArray[np.float32]:
    """z (size,) of +-1 by the definition above, in plain numpy: the reference that kernels are tested against."""
    drawn = reference_words(parameter, -(-size // CHUNK), BLOCKS, seed, perturbation)
    bits = (drawn[:, None] >> np.arange(32, dtype=np.uint32)[:, None]) & np.uint32(1)
    return (1.0 - 2.0 * bits.reshape(-1)[:size]).astype(np.float32)
