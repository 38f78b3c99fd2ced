"""What an experiment promises: unit and threat, the noise that takes, and what a release is charged.

Needs neither model nor radio, so that statements and plans are made in a moment.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fl.config import Experiment
from fl.learning_rate import rate_at
from privacy.accounting import Charge, Spent, largest_mu, noise_multiplier, noise_scale
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.power.fixed_ahead import noise_shape
from privacy.power.peak import backoff_for
from privacy.power.schedule import Floats
from privacy.schedule import levels
from privacy.threats import Threat, threats
from privacy.unit import Unit, unit_named
from radio.errors import InputError

# Share of delta for each thing that may go wrong besides the mechanism: channel estimates beyond the margin, and payloads
# limited at a converter.
FAILURE_SHARE = 0.01
# Kinds of rounds in a schedule: more take longer to certify (a second for these) and gain less than 0.1 dB.
SCHEDULE_LEVELS = 8


@dataclass(frozen=True)
class Guarantee:
    """The enforced guarantee of a run, the same on all devices, and fixed before it.

    unit        whose data may change
    threat      which noise counts
    mechanism   of a device whose own noise is all that counts; `own_noise` for what the threat asks for. Where the noise
                varies: of the releases with the least
    delta       what the mechanism may use; the rest of privacy.delta is for failures of the threat's assumptions
    failures    the rest
    backoff     standard deviations of noise that fit below DAC full scale
    releases    how many the noise is sized for
    schedule    the charge of every release, where they differ; else empty
    """

    unit: Unit
    threat: Threat
    mechanism: OwnNoise
    delta: float
    failures: float
    backoff: float
    releases: int = 0
    schedule: tuple[Charge, ...] = ()

    def at(self, release: int) -> Guarantee:
        """The same with the mechanism of one release."""
        if not self.schedule:
            return self
        return replace(self, mechanism=mechanism_at(self.mechanism, self.schedule, release))

    def planned(self, first: int = 0, end: int | None = None) -> Spent:
        """The charges of all releases from `first` on, up to `end` (all), each kind with its count."""
        if self.schedule:
            return sorted(Counter(self.schedule[first:end]).items())
        count = (self.releases if end is None else end) - first
        return [(self.charge, count)] if count > 0 else []

    @property
    def charge(self) -> Charge:
        """What a release costs every device, whoever takes part."""
        return self.mechanism.charge

    @property
    def wanted(self) -> float:
        """Variance that must be counted on every scalar, payload units squared."""
        return self.mechanism.noise_std**2

    def noise_std(self, active: int) -> float:
        """Own noise of each of `active` devices, payload units."""
        made = own_noise(self.mechanism, self.threat, active)
        return 0.0 if made is None else made.noise_std


@lru_cache(maxsize=1024)
def own_noise(mechanism: OwnNoise, threat: Threat, active: int) -> OwnNoise | None:
    """The mechanism of one of `active` devices; None where the threat asks for no noise of its own."""
    share = threat.own_share(active)
    return replace(mechanism, share=share) if share > 0.0 else None


@lru_cache(maxsize=1024)
def _with_charge(mechanism: OwnNoise, charge: Charge) -> OwnNoise:
    return replace(mechanism, charge=charge)


def mechanism_at(mechanism: OwnNoise, schedule: tuple[Charge, ...], release: int) -> OwnNoise:
    """The mechanism of one release; beyond the end of a schedule its last holds."""
    return _with_charge(mechanism, schedule[min(release, len(schedule) - 1)]) if schedule else mechanism


def threats_of(experiment: Experiment) -> dict[str, Threat]:
    """All threats by name, with the experiment's colluders, dropouts and margin (0 dB unless one is set)."""
    privacy = experiment.privacy
    return threats(privacy.colluders, privacy.dropouts, 10.0 ** ((privacy.csi_margin_db or 0.0) / 10.0))


def grid_of(experiment: Experiment) -> Grid:
    """What every device sums its examples' projections on, with privacy or without."""
    privacy = experiment.privacy
    return unit_named(privacy.unit).grid(privacy.clip, experiment.learning.batch, privacy.saturation)


def guarantee_of(experiment: Experiment, multiplier: float | None = None, tight: bool = True) -> Guarantee | None:
    """None with privacy off. Sizes the noise, which may take some seconds the first time, unless a finished run's noise
    `multiplier` is given. Not `tight`: in a fraction of the time, and up to a percent more than it takes (`noise_scale`).

    Raises InputError where the budget cannot be kept.
    """
    privacy, learning = experiment.privacy, experiment.learning
    if not privacy.enabled:
        return None
    threat, unit = threats_of(experiment)[privacy.threat], unit_named(privacy.unit)
    limited = FAILURE_SHARE * privacy.delta if privacy.threat == "aggregate" else 0.0
    misjudged = FAILURE_SHARE * privacy.delta if privacy.csi_margin_db and privacy.threat != "own-noise" else 0.0
    delta = privacy.delta - (limited + misjudged)
    rate = unit.charged_rate(experiment.sampling_rate)
    schedule: tuple[Charge, ...] = ()
    if privacy.schedule == "weighted":
        schedule = _weighted(experiment, rate, delta, multiplier, tight)
        charge = min(schedule)
    elif multiplier is None:
        charge = Charge(rate, noise_multiplier(privacy.epsilon, delta, rate, experiment.releases, tight))
    else:
        charge = Charge(rate, multiplier)
    mechanism = OwnNoise(grid_of(experiment), learning.perturbations, charge, unit)
    backoff = _backoff(experiment, limited)
    return Guarantee(unit, threat, mechanism, delta, limited + misjudged, backoff, experiment.releases, schedule)


def noise_weights(experiment: Experiment) -> Floats:
    """(slots,) w_t = eta_t^2 A^(T-t): what a round's noise weighs in the end, up to a constant; eta_t the learning rate, A
    `privacy.contraction` (arXiv 2604.12401, theorem 1). Spare slots weigh what the last round does."""
    learning = experiment.learning
    index = np.minimum(np.arange(experiment.slots), learning.rounds - 1)
    rates = np.array([rate_at(learning, int(i)) for i in index])
    return np.asarray((rates / rates.max()) ** 2 * experiment.privacy.contraction ** (learning.rounds - 1.0 - index))


def _weighted(
    experiment: Experiment, rate: float, delta: float, least: float | None, tight: bool
) -> tuple[Charge, ...]:
    """The charge of every release; sized anew unless the `least` multiplier is known."""
    target, steps = experiment.privacy.epsilon, experiment.learning.local_steps
    weights = np.repeat(noise_weights(experiment), steps)
    shape = levels(noise_shape(weights, rate, largest_mu(target, delta)), SCHEDULE_LEVELS)
    if least is None:
        kinds, counts = np.unique(shape, return_counts=True)
        shape_charges = [(Charge(rate, float(z)), int(n)) for z, n in zip(kinds, counts, strict=True)]
        scale = noise_scale(target, delta, shape_charges, tight)
    else:
        scale = least / float(shape.min())
    return tuple(Charge(rate, scale * float(z)) for z in shape)


def _backoff(experiment: Experiment, limited: float) -> float:
    privacy, learning = experiment.privacy, experiment.learning
    if limited == 0.0:
        return privacy.backoff
    sent = experiment.releases * learning.perturbations * learning.devices
    needed = backoff_for(sent, limited, privacy.epsilon).deviations
    if privacy.backoff != type(privacy).model_fields["backoff"].default and privacy.backoff < needed:
        raise InputError(
            f"privacy.backoff = {privacy.backoff:g} with privacy.threat = {privacy.threat!r}: a payload that is limited at a "
            f"converter takes its noise from the others, so at least {needed:.2f} standard deviations must fit; leave it out"
        )
    return max(privacy.backoff, needed)
