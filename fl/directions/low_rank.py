"""Low-rank directions: z = U V' / sqrt(r) for a parameter of m rows and n columns, U (m, r) and V (n, r) of fair signs.

LOZO (Chen et al., arXiv 2410.07698; github.com/optsuite/LOZO) with these choices of ours:

* U and V are Rademacher, there Gaussian: a row of U times a row of V is then a small whole number k, z = fl(k fl(1/sqrt(r)))
  has the same bits on every machine, and E z z' is the identity all the same.
* The division by sqrt(r) keeps |z|^2 at m n on average, there its code adds U V' as it is: LOZO's radius eps and rate lr are
  our mu = eps sqrt(r) and rate = lr r.
* V is lazy there: drawn every nu steps and kept.  Here the upper 32 bits of a round's seed name it and nothing is kept;
  `fl.rounds.round_seed` changes them every `learning.refresh` slots.  U comes from the whole seed.
* Parameters that are not matrices get plain Rademacher directions, there Gaussian ones.

With the signs of `fl.directions.rademacher`, U[i, k] is sign i r + k of a parameter called NAME#u, and V[j, k] is sign k n + j of
NAME#v under the seed with its lower 32 bits cleared.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fl.directions.compiled import add, compiled, inlined, uint32
from fl.directions.direction import Direction, Operations, name_key
from fl.directions.rademacher import BLOCKS, CHUNK, WORDS, draw, expand, signs

BLOCK = 1 << 15  # weights that stay in cache while all operations pass over them
UPPER = 0xFFFFFFFF00000000


@inlined
def _right(v, words, drawn, bits, floats, j, low, high, k1):
    """V' (r, n), flat, under a seed whose lower half is 0."""
    for start in range(0, v.size, CHUNK):
        draw(words, uint32(start // 128), j, low, high, uint32(0), k1)
        expand(drawn, bits)
        for i in range(min(CHUNK, v.size - start)):
            v[start + i] = floats[i]


@inlined
def _accumulate(z, v, sign, first):
    if first:
        for i in range(z.size):
            z[i] = sign * v[i]
    else:
        for i in range(z.size):
            z[i] += sign * v[i]


@inlined
def _scale(z, scale):
    for i in range(z.size):
        z[i] *= scale


@compiled
def _apply(weights, first, columns, rank, u_key, v_key, key0, key1, perturbations, starts, amounts, scale):
    words = np.empty((4, BLOCKS), np.uint32)
    drawn = words.reshape(-1)
    bits = np.empty(CHUNK, np.uint32)
    floats = bits.view(np.float32)
    v = np.empty(rank * columns, np.float32)
    z = np.empty(columns, np.float32)
    last = first + weights.size
    rows = max(1, BLOCK // columns)
    for top in range(first // columns, (last + columns - 1) // columns, rows):
        bottom = min(top + rows, (last + columns - 1) // columns)
        for d in range(perturbations.size):
            j, k0, k1 = uint32(perturbations[d]), uint32(key0[d]), uint32(key1[d])
            _right(v, words, drawn, bits, floats, j, uint32(v_key[0]), uint32(v_key[1]), k1)
            at = -1  # the chunk of U's signs that is in `drawn`
            for row in range(top, bottom):
                left, right = max(first - row * columns, 0), min(last - row * columns, columns)
                here = z[left:right]
                for k in range(rank):
                    element = row * rank + k
                    if element // CHUNK != at:
                        at = element // CHUNK
                        draw(words, uint32(at * BLOCKS), j, uint32(u_key[0]), uint32(u_key[1]), k0, k1)
                    within = element % CHUNK
                    sign = np.float32(1.0) - np.float32(2.0) * np.float32(
                        (drawn[within % WORDS] >> uint32(within // WORDS)) & uint32(1)
                    )
                    _accumulate(here, v[k * columns + left : k * columns + right], sign, k == 0)
                _scale(here, scale)
                start = row * columns - first
                add(weights[start + left : start + right], here, amounts, starts[d], starts[d + 1])


class LowRank(Direction):
    """Low-rank on matrices, `vectors` (Rademacher in some form) on everything else.

    shapes  of all parameters, by name: a slice does not tell how long a row is
    rank    r
    """

    name = "low-rank"

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], rank: int, vectors: Direction) -> None:
        self.shapes = shapes
        self.rank = rank
        self.scale = np.float32(1.0) / np.sqrt(np.float32(rank))
        self.vectors = vectors
        self.chunk = vectors.chunk

    def factors(
        self, parameter: str, shape: tuple[int, int], seed: int, perturbation: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """U (m, r) and V (n, r) of signs for a parameter of `shape` (m, n): z = U V' * `scale`."""
        rows, columns = shape
        u = signs(f"{parameter}#u", rows * self.rank, seed, perturbation).reshape(rows, self.rank)
        v = signs(f"{parameter}#v", columns * self.rank, seed & UPPER, perturbation).reshape(self.rank, columns)
        return u, v.T

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        if len(shape) != 2:
            return self.vectors.values(parameter, shape, seed, perturbation)
        u, v = self.factors(parameter, (shape[0], shape[1]), seed, perturbation)
        return (u @ v.T) * self.scale

    def apply(self, parameter: str, weights: NDArray[np.float32], first: int, operations: Operations) -> None:
        shape = self.shapes[parameter]
        if len(shape) != 2:
            self.vectors.apply(parameter, weights, first, operations)
        else:
            u_key, v_key, o = name_key(f"{parameter}#u"), name_key(f"{parameter}#v"), operations
            _apply(
                weights, first, shape[1], self.rank, u_key, v_key,
                o.key0, o.key1, o.perturbations, o.starts, o.amounts, self.scale,
            )  # fmt: skip
