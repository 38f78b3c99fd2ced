"""What a run cost under every threat, from what its slots recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from privacy.accounting import MULTIPLIER_RANGE, epsilon
from privacy.schedule import schedule_charges
from privacy.threats import Threat

# Kinds of rounds told apart in a figure that is only reported; more take longer and give a little less.
REPORTED_LEVELS = 8


@dataclass(frozen=True, order=True)
class SlotNoise:
    """The noise of one slot.

    noise_std          own noise of each active device on each scalar, payload units
    active             how many were announced as active
    receiver_variance  N0 / c^2 on the sum, per real dimension, payload units squared; 0 where none counts
    """

    noise_std: float
    active: int
    receiver_variance: float = 0.0


def exposure(threat: Threat, sensitivity: float, rate: float, releases: Mapping[SlotNoise, int], delta: float) -> float:
    """Certified epsilon at `delta` of all `releases` (each kind of slot with its count) against one threat.

    sensitivity  L2, of the scalars of one release together, payload units
    rate         at which a release is charged

    Infinite where a release has no noise that counts, or too little to certify. Slots' noise follows from channels and
    settings alone, so the composition is of mechanisms fixed without private data.
    """
    multipliers: list[float] = []
    for noise, count in releases.items():
        counted = threat.counted_equally(noise.noise_std, noise.active, noise.receiver_variance)
        multipliers += [math.sqrt(counted) / sensitivity] * count
    if not multipliers:
        return 0.0
    if min(multipliers) <= (MULTIPLIER_RANGE[0] if rate < 1.0 else 0.0):
        return math.inf
    levels = len(multipliers) if rate == 1.0 else REPORTED_LEVELS
    return epsilon(schedule_charges(rate, multipliers, levels), delta)
