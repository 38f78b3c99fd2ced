"""Secret Poisson batches: every example takes part by its own coin.

The accountant's amplification holds for exactly this sampling (a shuffled loader is not it, arXiv 2411.04205) and
only as long as nobody learns who took part, so the coins come from the device's secret and not from a public seed.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from privacy.noise import Secret
from radio.errors import InputError


def inclusion_probability(rate: float) -> Fraction:
    """Exact probability of an example in `poisson_batch`: `rate` rounded down to a multiple of 2^-64."""
    if not 0.0 < rate <= 1.0:
        raise InputError(f"sampling rate is {rate!r}; allowed: above 0, at most 1")
    return Fraction(math.floor(Fraction(rate) * 2**64), 2**64)


def accounted_rate(rate: float) -> float:
    """The rate to charge for: a float not below the probability really used (epsilon grows with the rate)."""
    exact = inclusion_probability(rate)
    return float(exact) if Fraction(float(exact)) >= exact else math.nextafter(float(exact), 2.0)


def poisson_batch(secret: Secret, examples: int, rate: float) -> NDArray[np.int64]:
    """Indices (n,), ascending, of the examples 0 .. examples-1 that take part; n may be 0."""
    threshold = int(inclusion_probability(rate) * 2**64)
    if threshold == 2**64:
        return np.arange(examples, dtype=np.int64)
    coins = np.frombuffer(secret.bytes(8 * examples), dtype="<u8")
    return np.flatnonzero(coins < np.uint64(threshold)).astype(np.int64)
