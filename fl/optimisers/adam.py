"""Adam without its two buffers.

Adam (Kingma and Ba 2015) divides every coordinate's first moment by the root of its second moment, the running mean of g^2.
With one Rademacher direction a round, g_t = mean_t z_t and every coordinate of z_t is +-1, so g_t^2 = mean_t^2 at *every*
coordinate: the second moment is one number for all weights, and exactly Adam's.  With P directions

    g^2 = 1/P^2 (sum_j mean_j^2 + sum_{i != j} mean_i mean_j z_i z_j)

and the second sum, which differs from coordinate to coordinate, is zero on average over the independent signs; the first is
taken.  The same expectation, E z^2 = 1, is taken where directions are not Rademacher.  So the method adapts to the size of
the gradient over time and not from weight to weight; a zeroth-order estimate of so few directions holds no more.

The first moment goes back over the recent rounds' directions as in `fl.optimisers.momentum`, cut at the same window, and
costs the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fl.optimisers.optimiser import Step, window

SQUARES = 0.999  # decay of the second moment
FLOOR = 1e-8  # added to its root


class Adam:
    """w <- w - rate m^ / (sqrt(v^) + 1e-8), both moments corrected for their bias towards the start."""

    name = "adam"

    def __init__(self, perturbations: int, beta: float) -> None:
        self._perturbations = perturbations
        self._beta = beta
        self._earlier = window(beta) - 1
        self._rounds = 0
        self._square = 0.0  # v, before correction
        self._scale = 0.0  # what a mean was multiplied by in the round before

    def step(self, mean: Sequence[float], rate: float) -> Step:
        self._rounds += 1
        energy = math.fsum(m * m for m in mean) / self._perturbations**2
        self._square = SQUARES * self._square + (1.0 - SQUARES) * energy
        root = math.sqrt(self._square / (1.0 - _power(SQUARES, self._rounds)))
        scale = rate * (1.0 - self._beta) / (1.0 - _power(self._beta, self._rounds)) / (root + FLOOR)
        decay = self._beta * (scale / self._scale) if self._scale else 0.0
        self._scale = scale
        return Step(tuple(scale * m / self._perturbations for m in mean), decay, self._earlier if decay else 0)


def _power(base: float, exponent: int) -> float:
    """base^exponent by multiplication: the C library's pow may differ in the last bit from machine to machine."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result
