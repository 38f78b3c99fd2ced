"""The systems that are audited, built from the objects that a run uses: unit, grid, own noise, threat, accountant.

Every configuration is driven to its worst case, so that a correct one comes as close to its claim as it ever can: the canary
pulls with all it has, and dropouts and channel errors are as large as the threat allows for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.accounting import Charge, noise_multiplier
from privacy.audit.transcripts import System
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.sampling import accounted_rate
from privacy.threats import OWN_NOISE, threats
from privacy.unit import DEVICE, EXAMPLE
from radio.streams import stream

Floats = NDArray[np.float64]
Project = Callable[[Grid, Floats], Floats]  # per-example projections (n, P) -> payload (P,)

EPSILON, DELTA = 5.0, 1e-5
DEVICES = 5
BATCH, EXAMPLES = 64.0, 1000
SCALARS = 16
TOLERATED_DROPOUTS = 1
TOLERATED_CSI_DB = 0.5
OUTLIER = 50.0  # the canary's projection in clips
EXAMPLE_GRID = Grid(clip=1.0, denominator=BATCH, saturation=4.0)


def honest(grid: Grid, values: Floats) -> Floats:
    """The real rule: clip every example, sum on the grid, divide by the fixed denominator, saturate."""
    return grid.payload(grid.project(values))


@dataclass(frozen=True)
class Size:
    """How large an audit is.

    rounds       of a run
    transcripts  in each world that measure a bound
    """

    rounds: int
    transcripts: int = 20_000


FULL, QUICK = Size(2000), Size(64)


def device_unit(threat: str, size: Size, project: Project = honest) -> System:
    """Replace all data of one device, no sampling: every example at the one limit or at the other."""
    grid = Grid(clip=1.0, denominator=BATCH)
    margin = 10 ** (TOLERATED_CSI_DB / 10) if threat == "trusted-receiver" else 1.0
    chosen = threats(dropouts=TOLERATED_DROPOUTS, csi_margin=margin)[threat]
    charge = Charge(1.0, noise_multiplier(EPSILON, DELTA, 1.0, size.rounds))
    alone = OwnNoise(grid, 1, charge, DEVICE).noise_std
    heard, own, receiver = 1, alone, 0.0
    if threat == "aggregate":
        heard = DEVICES - TOLERATED_DROPOUTS
        own = OwnNoise(grid, 1, charge, DEVICE, chosen.own_share(DEVICES)).noise_std
    elif threat == "trusted-receiver":
        # As in the paper no device adds noise: the alignment c is held down until the receiver's, of variance 1, is enough.
        own, receiver = 0.0, 1.0 / chosen.alignment_limit(1.0, alone**2)
    full = np.full((2 * int(BATCH), 1), 2.0)
    return System(
        name="device unit, q = 1",
        unit="device",
        threat=chosen,
        charged=[(charge, size.rounds)],
        delta=DELTA,
        payloads=(project(grid, -full), project(grid, full)),
        noise_std=np.full(heard, own),
        rounds=size.rounds,
        receiver_std=receiver,
        gain=math.sqrt(margin),
    )


def example_unit(size: Size, project: Project = honest, scalars: int = 1) -> System:
    """Add one example to a secret Poisson batch; P scalars of one batch are one release. The canary is an outlier."""
    grid = EXAMPLE_GRID
    rounds = size.rounds // scalars
    rate = accounted_rate(BATCH / EXAMPLES)
    charge = Charge(rate, noise_multiplier(EPSILON, DELTA, rate, rounds))
    others = stream(1, "audit", "others").standard_normal((int(BATCH), scalars))
    canary = np.full((1, scalars), OUTLIER)
    return System(
        name=f"example unit, q = {BATCH / EXAMPLES:g}" + (f", P = {scalars}" if scalars > 1 else ""),
        unit="example",
        threat=OWN_NOISE,
        charged=[(charge, rounds)],
        delta=DELTA,
        payloads=(project(grid, others), project(grid, np.concatenate([others, canary]))),
        noise_std=np.array([OwnNoise(grid, scalars, charge, EXAMPLE).noise_std]),
        rounds=rounds,
        rate=BATCH / EXAMPLES,
    )


def tiny_data(size: Size, project: Project = honest) -> System:
    """Add one example to a data set of three, without sampling: the others at +gamma, the canary at -gamma."""
    grid = Grid(clip=1.0, denominator=4.0)
    charge = Charge(1.0, noise_multiplier(EPSILON, DELTA, 1.0, size.rounds))
    others, canary = np.ones((3, 1)), -np.ones((1, 1))
    return System(
        name="example unit, q = 1, 4 examples",
        unit="example",
        threat=OWN_NOISE,
        charged=[(charge, size.rounds)],
        delta=DELTA,
        payloads=(project(grid, others), project(grid, np.concatenate([others, canary]))),
        noise_std=np.array([OwnNoise(grid, 1, charge, EXAMPLE).noise_std]),
        rounds=size.rounds,
    )


def correct_systems(size: Size) -> list[Callable[[], System]]:
    """Every configuration in which a fault is planted, itself without any; built when called, which takes seconds."""
    return [
        lambda: device_unit("own-noise", size),
        lambda: device_unit("aggregate", size),
        lambda: device_unit("trusted-receiver", size),
        lambda: example_unit(size),
        lambda: example_unit(size, scalars=SCALARS),
        lambda: tiny_data(size),
    ]
