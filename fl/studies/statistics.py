"""Means over seeds with their 95 % intervals (Student's t), and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from fl.interval import student_half


@dataclass(frozen=True)
class Estimate:
    """A mean of n values and half the width of its 95 % interval; None from one value, which says nothing of the spread."""

    mean: float
    half: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """None of no values."""
    if not values:
        return None
    return Estimate(mean(values), student_half(values), len(values))


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> Estimate | None:
    """Of one less other, seed by seed, where both have the seed."""
    return estimate([one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())])
