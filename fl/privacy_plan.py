"""What an experiment's privacy costs in accuracy, before it is run: the noise of the mean in units of the clip.

The standard deviation of what is left in a round's mean besides the payloads, apart for what protects (the devices' own
noise) and what the air adds (the receiver's noise and the errors of channel estimates). The step of a round is the mean, so
this is the noise that learning sees; a clipped payload is 1 at most in this unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from rich.table import Table

from fl.config import Experiment, validate
from fl.guarantee import Guarantee, guarantee_of, noise_weights
from fl.learning_rate import rate_at
from fl.proposal import limits_of, propose
from privacy.power.design import sensitivity_warning
from radio.errors import InputError
from radio.modes import open_air
from radio.streams import stream

SLOTS = 200  # simulated soundings that a point is the average of
Axis = Literal["epsilon", "devices", "snr_db", "rounds"]
AXES: dict[Axis, tuple[str, str]] = {
    "epsilon": ("privacy", "epsilon"),
    "devices": ("learning", "devices"),
    "snr_db": ("radio", "snr_db"),
    "rounds": ("learning", "rounds"),
}
EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
DEVICES = (2, 5, 10, 20, 50, 100)
SNRS = (0.0, 10.0, 20.0, 30.0, 40.0)
ROUND_FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Point:
    """One setting.

    axis      what is varied, and `value` to what
    own       standard deviation of the devices' own noise in the mean, units of the clip
    air       of receiver noise and channel estimates in the mean; None where the air carries nothing
    erased    share of slots in which nobody could be heard
    here      this is the experiment as it stands
    """

    axis: Axis
    value: float
    own: float
    air: float | None
    erased: float
    here: bool

    @property
    def both(self) -> float | None:
        """Own noise and the air's together."""
        return None if self.air is None else math.hypot(self.own, self.air)


def plan(experiment: Experiment) -> list[Point]:
    """Every axis swept around the experiment, in ascending order; nothing is transmitted and no ledger is opened. At another
    epsilon or number of rounds than the experiment's the own noise is up to a percent more than it takes.

    An axis that the experiment does not have (the SNR of a named profile) is left out. Raises InputError where there is no
    noise to plan: privacy off, or signs.
    """
    if not experiment.privacy.enabled:
        raise InputError("privacy.enabled = false: there is no privacy noise to plan")
    if experiment.learning.payload == "sign":
        raise InputError(
            "learning.payload = 'sign': the noise is inside the sign and not in the mean; plan the same experiment with "
            "learning.payload = 'value'"
        )
    return [point for axis in AXES for point in _sweep(experiment, axis)]


def _sweep(experiment: Experiment, axis: Axis) -> Iterator[Point]:
    here = float(_get(experiment, axis))
    for value in sorted({*_values(experiment, axis), here}):
        varied = experiment if value == here else _varied(experiment, axis, value)
        if varied is None:
            continue
        # Only these take another noise than the experiment itself; a figure in a sweep need not be good to five digits.
        other = value != here and axis in ("epsilon", "rounds")
        own, air, erased = noise_of_mean(varied, tight=not other)
        yield Point(axis, value, own, air, erased, value == here)


def _get(experiment: Experiment, axis: Axis) -> Any:
    section, key = AXES[axis]
    return getattr(getattr(experiment, section), key)


def _values(experiment: Experiment, axis: Axis) -> tuple[float, ...]:
    if axis == "rounds":
        return tuple(float(max(1, round(factor * experiment.learning.rounds))) for factor in ROUND_FACTORS)
    if axis == "snr_db":
        return SNRS if experiment.radio.profile == "none" and experiment.radio.mode != "ideal" else ()
    return EPSILONS if axis == "epsilon" else tuple(map(float, DEVICES))


def _varied(experiment: Experiment, axis: Axis, value: float) -> Experiment | None:
    """None for a value at which the experiment's other settings make no sense."""
    raw = experiment.model_dump(exclude_unset=True)
    section, key = AXES[axis]
    raw.setdefault(section, {})[key] = int(value) if axis in ("devices", "rounds") else value
    losses = experiment.radio.path_loss_db
    if axis == "devices" and isinstance(losses, tuple):
        raw["radio"]["path_loss_db"] = float(np.mean(losses))
    try:
        return validate(raw, "plan")
    except InputError:
        return None


def noise_of_mean(experiment: Experiment, tight: bool = True) -> tuple[float, float | None, float]:
    """Standard deviations of own noise and of the air's noise in a round's mean, units of the clip, and the share of slots
    erased, over simulated slots at symbol fidelity. Variances are averaged by what they weigh in the end, over slots spread
    evenly over the run. Not `tight`: own noise up to a percent more than it takes (`fl.guarantee.guarantee_of`)."""
    guarantee = guarantee_of(experiment, tight=tight)
    assert guarantee is not None, "privacy is off"
    learning, clip = experiment.learning, experiment.privacy.clip
    settings = experiment.radio.air_settings | {"fidelity": "symbol"}
    limits = limits_of(experiment, guarantee)
    weights, run = [], noise_weights(experiment)
    own, air = [], []
    with closing(open_air(learning.devices, experiment.run.seed, **settings)) as simulated:
        for slot in range(SLOTS):
            state = simulated.sound(slot)
            at = slot * len(run) // SLOTS
            proposal = propose(state, simulated, limits, at * learning.local_steps)
            payloads = _noise(experiment, guarantee, slot, proposal.noise_std)
            received = simulated.aggregate(slot, payloads, proposal.plan)
            if received.erased:
                continue
            weights.append(float(run[at]))
            own.append(proposal.noise_std**2 / proposal.active)
            air.append(float(received.variance[0]) / proposal.active**2)
    if not own:
        # Nobody is heard; what a whole round would have carried.
        return guarantee.noise_std(learning.devices) / math.sqrt(learning.devices) / clip, None, 1.0
    return (
        math.sqrt(float(np.average(own, weights=weights))) / clip,
        math.sqrt(float(np.average(air, weights=weights))) / clip,
        1.0 - len(own) / SLOTS,
    )


def _noise(experiment: Experiment, guarantee: Guarantee, slot: int, noise_std: float) -> np.ndarray:
    """(K, 1) payloads of noise alone, for airs whose own noise grows with what is sent. From a public stream: no data, no
    privacy."""
    draws = stream(experiment.run.seed, "privacy plan", slot).standard_normal((experiment.learning.devices, 1))
    limit = guarantee.mechanism.grid.payload_limit + guarantee.backoff * noise_std
    return np.clip(noise_std * draws, -limit, limit)


def plan_dict(points: list[Point]) -> dict[str, Any]:
    """For machines."""
    return {
        "unit": "standard deviation of a round's mean over the clip",
        "slots": SLOTS,
        "points": [asdict(point) | {"both": point.both} for point in points],
    }


def warning(experiment: Experiment) -> str:
    """What to tell somebody whose noise schedule hangs on the contraction factor; "" for one that does not."""
    guarantee, contraction = guarantee_of(experiment), experiment.privacy.contraction
    if guarantee is None or not guarantee.schedule or contraction == 1.0:
        return ""
    snr = [charge.noise_multiplier**-2.0 for charge in guarantee.schedule[:: experiment.learning.local_steps]]
    rates = [rate_at(experiment.learning, i) for i in range(experiment.learning.rounds)]
    return sensitivity_warning(snr[: experiment.learning.rounds], contraction, rates)


def describe(experiment: Experiment) -> str:
    """The experiment in a line."""
    privacy, learning = experiment.privacy, experiment.learning
    varied = f", noise {privacy.schedule} (A = {privacy.contraction:g})" if privacy.schedule != "constant" else ""
    return (
        f"{privacy.unit} level, {privacy.threat}: \u03b5 = {privacy.epsilon:g} at \u03b4 = {privacy.delta:g}, K = "
        f"{learning.devices}, T = {learning.rounds:,}, B = {learning.batch:g}, {experiment.radio.described}{varied}"
    )


def table(points: list[Point]) -> Table:
    """For a terminal; the experiment itself is marked."""
    made = Table(title="noise of a round's mean over the clip (standard deviations)", title_justify="left")
    for column in ("varied", "value", "own noise", "of the air", "together", "slots lost", ""):
        made.add_column(column, justify="left" if column in ("varied", "") else "right")
    for axis in AXES:
        for point in (p for p in points if p.axis == axis):
            air, both = ("-" if x is None else f"{x:.4g}" for x in (point.air, point.both))
            here = "<- here" if point.here else ""
            made.add_row(axis, f"{point.value:g}", f"{point.own:.4g}", air, both, f"{point.erased:.0%}", here)
        made.add_section()
    return made
