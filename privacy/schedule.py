"""Schedules whose noise varies from round to round and was fixed without looking at private data.

Rounds that weigh more in the end get less noise. Certifying T unlike rounds one by one would take T loss distributions, so
multipliers are rounded down to a few levels first, which can only overstate what is spent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy.accounting import Charge, epsilon, noise_scale
from radio.errors import InputError

LEVELS = 40


def levels(multipliers: ArrayLike, at_most: int = LEVELS) -> NDArray[np.float64]:
    """Noise multipliers (T,), each rounded down to one of at most `at_most` values that occur among them.

    What rounding costs is the rise of 1/z^2, a round's cost but for a factor. With f(x) of the T rounds at cost x, cells of
    width w(x) lose the integral of f w / 2, and w ~ 1 / sqrt(f) loses least: cells of equal integral of sqrt(f), where sorted
    costs x_1 < x_2 < ..., of n_i rounds each, put sqrt(n_i (x_{i+1} - x_i) / T) between neighbours.

    Raises InputError unless all multipliers are finite and above 0.
    """
    given = np.asarray(multipliers, dtype=np.float64)
    if given.ndim != 1 or not np.all(np.isfinite(given) & (given > 0.0)):
        raise InputError(f"noise multipliers of shape {given.shape}; allowed: one a round, finite and above 0")
    if at_most < 1:
        raise InputError(f"a schedule of {at_most} levels; allowed: 1 or more")
    values, where, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(values) <= at_most:
        return given
    position = np.concatenate([[0.0], np.cumsum(np.sqrt(-np.diff(values**-2.0) * counts[1:]))])
    cell = np.minimum((position / position[-1] * at_most).astype(np.int64), at_most - 1)
    first_of_cell = np.searchsorted(cell, cell)  # the smallest multiplier of each cell; cells are ascending
    return values[first_of_cell][where]


def schedule_charges(rate: float, multipliers: ArrayLike, at_most: int = LEVELS) -> list[tuple[Charge, int]]:
    """A schedule as charges with their counts, at most `at_most` kinds, all at the same sampling rate."""
    values, counts = np.unique(levels(multipliers, at_most), return_counts=True)
    return [(Charge(rate, float(value)), int(count)) for value, count in zip(values, counts, strict=True)]


def schedule_epsilon(rate: float, multipliers: ArrayLike, delta: float) -> float:
    """Certified epsilon at `delta` of one round for each multiplier (T,): exact for rate 1, else by loss distributions
    of the multipliers rounded down to 40 levels.

    Valid only if rate, multipliers and T depend on nothing private.
    """
    if rate == 1.0:
        return epsilon([(Charge(1.0, float(z)), 1) for z in np.asarray(multipliers, dtype=np.float64)], delta)
    return epsilon(schedule_charges(rate, multipliers), delta)


def schedule_scale(epsilon: float, delta: float, rate: float, shape: ArrayLike) -> float:
    """Smallest factor s (rounded up to five digits) such that the multipliers s * shape certify at most `epsilon` at
    `delta`: with w = shape (T,), sqrt(sum 1/w^2) / mu* for rate 1. Raises InputError for impossible arguments."""
    at_most = len(np.atleast_1d(shape)) if rate == 1.0 else LEVELS
    return noise_scale(epsilon, delta, schedule_charges(rate, shape, max(1, at_most)))
