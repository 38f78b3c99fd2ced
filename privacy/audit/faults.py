"""Faults planted on purpose, each a small change of a correct system. The audit must flag every one of them.

A fault on the radio is a system whose transcripts say more than its ledger does; the others are planted in the running code
(fl.privacy_audit). Names are the same in both places, and a fault counts as flagged if every planting of it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privacy.accounting import Charge, noise_multiplier
from privacy.audit.configurations import (
    DELTA,
    EPSILON,
    EXAMPLE_GRID,
    SCALARS,
    Size,
    device_unit,
    example_unit,
    tiny_data,
)
from privacy.audit.transcripts import System
from privacy.grid import Grid
from privacy.mechanism import OwnNoise

Floats = NDArray[np.float64]

HALF_VARIANCE = "half the noise variance"
PUBLIC_NOISE = "noise from the public seed"
AGGREGATE_CLIP = "clipping of the aggregate"
REPLAY = "a quarter of the rounds replayed uncharged"
DROPOUT = "one dropout beyond D"
CSI = "+1 dB of CSI error"
SHUFFLED = "shuffled batches accounted as Poisson"
DENOMINATOR = "data-dependent denominator"
SCALAR_RELEASES = "P scalars charged as P releases"
BATCH_MATES = "batch-mates change an example's loss"

NAMES = (
    HALF_VARIANCE,
    PUBLIC_NOISE,
    AGGREGATE_CLIP,
    REPLAY,
    DROPOUT,
    CSI,
    SHUFFLED,
    DENOMINATOR,
    SCALAR_RELEASES,
    BATCH_MATES,
)


@dataclass(frozen=True)
class RadioFault:
    """A fault that transcripts show; `plant` builds the system that has it."""

    name: str
    plant: Callable[[Size], System]


def clip_of_sum(grid: Grid, values: Floats) -> Floats:
    """The sum is limited, its terms are not."""
    return np.clip(values.sum(axis=0) / grid.denominator, -grid.payload_limit, grid.payload_limit)


def unlimited_payload(grid: Grid, values: Floats) -> Floats:
    """A device limits nothing and leaves it to whoever adds the payloads up."""
    return np.asarray(values.sum(axis=0) / grid.denominator)


def mean_of_batch(grid: Grid, values: Floats) -> Floats:
    """Every example is clipped, but the sum is divided by the number of examples that happen to be there."""
    return np.clip(values, -grid.clip, grid.clip).sum(axis=0) / max(1, len(values))


def _half_variance(size: Size) -> System:
    system = device_unit("own-noise", size)
    return replace(system, noise_std=system.noise_std / math.sqrt(2.0))


def _half_variance_sampled(size: Size) -> System:
    system = example_unit(size)
    return replace(system, noise_std=system.noise_std / math.sqrt(2.0))


def _public_noise(size: Size) -> System:
    """Who knows the seed computes the noise and subtracts it."""
    system = device_unit("own-noise", size)
    return replace(system, noise_std=np.zeros(1))


def _replay(size: Size) -> System:
    system = device_unit("own-noise", size)
    return replace(system, rounds=size.rounds + size.rounds // 4)


def _dropout(size: Size) -> System:
    system = device_unit("aggregate", size)
    return replace(system, noise_std=system.noise_std[:-1])


def _csi(size: Size) -> System:
    system = device_unit("trusted-receiver", size)
    return replace(system, gain=system.gain * 10 ** (1.0 / 20))


def _scalar_releases(size: Size) -> System:
    """The ledger holds P independent releases a round, each with a batch of its own; on the air all P share one."""
    system = example_unit(size, scalars=SCALARS)
    releases = system.rounds * SCALARS
    ((charge, _),) = system.charged
    each = Charge(charge.sampling_rate, noise_multiplier(EPSILON, DELTA, charge.sampling_rate, releases))
    noise = OwnNoise(EXAMPLE_GRID, 1, each).noise_std
    return replace(system, charged=[(each, releases)], noise_std=np.array([noise]))


RADIO_FAULTS = (
    RadioFault(HALF_VARIANCE, _half_variance),
    RadioFault(HALF_VARIANCE, _half_variance_sampled),
    RadioFault(PUBLIC_NOISE, _public_noise),
    RadioFault(AGGREGATE_CLIP, lambda size: example_unit(size, clip_of_sum)),
    RadioFault(AGGREGATE_CLIP, lambda size: device_unit("own-noise", size, unlimited_payload)),
    RadioFault(REPLAY, _replay),
    RadioFault(DROPOUT, _dropout),
    RadioFault(CSI, _csi),
    RadioFault(DENOMINATOR, lambda size: tiny_data(size, mean_of_batch)),
    RadioFault(SCALAR_RELEASES, _scalar_releases),
)
