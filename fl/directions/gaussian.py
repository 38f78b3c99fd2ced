"""Standard normal directions, the paper's, with the same bits on every machine: 8 of them from one call of Philox4x32-10.

z is looked up, never computed: sixteen random bits name one of 65,536 fp32 numbers, the midpoint quantiles of the normal
distribution scaled to a mean square of 1.  Bit 15 is the sign and the other bits count from the middle outwards.  What the
table costs: |z| ends at 4.325, beyond which a normal variable lies once in 65,500 draws, and the kurtosis is 2.9992.

The flattened parameter is cut into chunks of 1,024 elements.  Element i, r = i % 1024 and q = r % 512, takes the lower
(r < 512) or upper half of word q // 128 of

    Philox4x32-10(counter = (128 (i // 1024) + q % 128, j, name_lo, name_hi), key = seed)

so that the 512 words of a chunk are used side by side.  The product with an amount is rounded before the sum is: the kernel
is compiled without leave to contract the two into a fused multiply-add.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fl.directions.compiled import add, compiled, inlined, uint32
from fl.directions.direction import Direction, Operations, name_key, reference_words
from fl.philox import block

BLOCKS = 128  # Philox calls a chunk
WORDS = 4 * BLOCKS
CHUNK = 2 * WORDS
HALF = 1 << 15

# Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988): numerators and denominators, lowest power first.
_MIDDLE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip


def _rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratio of two polynomials by Horner's rule, each operation its own numpy call so that nothing is contracted."""
    values = []
    for polynomial in coefficients:
        value = np.full_like(x, polynomial[-1])
        for coefficient in polynomial[-2::-1]:
            value = value * x
            value = value + coefficient
        values.append(value)
    return values[0] / values[1]


@lru_cache(maxsize=1)
def table() -> NDArray[np.float32]:
    """The 65,536 values of z, read-only; entry k + 32768 is minus entry k, and the first half ascends.

    The same bits everywhere: IEEE double additions, products, quotients and square roots, which are exactly rounded, and
    the logarithm and the sum, which a platform's own library would round as it likes, from `decimal` and `math.fsum`.
    """
    centre = (np.arange(HALF) + 0.5) / (2 * HALF)  # p - 1/2, exactly
    positive = np.empty(HALF)
    middle = centre <= 0.425
    inner = centre[middle]
    positive[middle] = inner * _rational(_MIDDLE, 0.180625 - inner * inner)
    context = Context(prec=30)
    logarithms = [float(context.ln(Decimal(float(upper)))) for upper in 0.5 - centre[~middle]]
    positive[~middle] = _rational(_TAIL, np.sqrt(-np.array(logarithms)) - 1.6)
    positive = positive / math.sqrt(math.fsum((positive * positive).tolist()) / HALF)
    values = np.concatenate([positive, -positive]).astype(np.float32)
    values.flags.writeable = False
    return values


@inlined
def _draw(words, counter, j, low, high, k0, k1):
    for lane in range(BLOCKS):
        a, b, c, d = block(uint32(counter + uint32(lane)), j, low, high, k0, k1)
        words[0, lane], words[1, lane], words[2, lane], words[3, lane] = a, b, c, d


@inlined
def _look_up(drawn, values, z):
    for q in range(WORDS):
        z[q] = values[drawn[q] & uint32(0xFFFF)]
    for q in range(WORDS):
        z[WORDS + q] = values[drawn[q] >> uint32(16)]


@compiled
def _apply(weights, first, low, high, key0, key1, perturbations, starts, amounts, values):
    words = np.empty((4, BLOCKS), np.uint32)
    drawn = words.reshape(-1)
    z = np.empty(CHUNK, np.float32)
    for start in range(0, weights.size, CHUNK):
        w = weights[start : start + CHUNK]
        counter = uint32((first + start) // 8)
        for d in range(perturbations.size):
            _draw(words, counter, uint32(perturbations[d]), uint32(low), uint32(high), uint32(key0[d]), uint32(key1[d]))
            _look_up(drawn, values, z)
            add(w, z, amounts, starts[d], starts[d + 1])


class Gaussian(Direction):
    name = "gaussian"
    chunk = CHUNK

    def apply(self, parameter: str, weights: NDArray[np.float32], first: int, operations: Operations) -> None:
        low, high = name_key(parameter)
        o = operations
        _apply(weights, first, low, high, o.key0, o.key1, o.perturbations, o.starts, o.amounts, table())

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        return normals(parameter, int(np.prod(shape)), seed, perturbation).reshape(shape)


def normals(parameter: str, size: int, seed: int, perturbation: int) -> NDArray[np.float32]:
    """z (size,) by the definition above, in plain numpy: the reference that kernels are tested against."""
    drawn = reference_words(parameter, -(-size // CHUNK), BLOCKS, seed, perturbation)
    halves = (drawn[:, None] >> np.array([[0], [16]], np.uint32)) & np.uint32(0xFFFF)
    return table()[halves.reshape(-1)[:size]]
