"""What an experiment promises: unit and threat, the noise that takes, and what a release is charged.

Needs neither model nor radio, so that statements and plans are made in a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from fl.config import Experiment
from privacy.accounting import Charge, noise_multiplier
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.power.peak import backoff_for
from privacy.threats import Threat, threats
from privacy.unit import Unit, unit_named
from radio.errors import InputError

# Share of delta for each thing that may go wrong besides the mechanism: channel estimates beyond the margin, and payloads
# limited at a converter.
FAILURE_SHARE = 0.01


@dataclass(frozen=True)
class Guarantee:
    """The enforced guarantee of a run, the same on all devices.

    unit        whose data may change
    threat      which noise counts
    mechanism   of a device whose own noise is all that counts; `own_noise` for what the threat asks for
    delta       what the mechanism may use; the rest of privacy.delta is for failures of the threat's assumptions
    failures    the rest
    backoff     standard deviations of noise that fit below DAC full scale
    """

    unit: Unit
    threat: Threat
    mechanism: OwnNoise
    delta: float
    failures: float
    backoff: float

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


def threats_of(experiment: Experiment) -> dict[str, Threat]:
    """All threats by name, with the experiment's colluders, dropouts and margin (0 dB unless one is set)."""
    privacy = experiment.privacy
    return threats(privacy.colluders, privacy.dropouts, 10.0 ** ((privacy.csi_margin_db or 0.0) / 10.0))


def guarantee_of(experiment: Experiment, multiplier: float | None = None) -> Guarantee | None:
    """None with privacy off. Sizes the noise, which may take some seconds the first time, unless a finished run's noise
    `multiplier` is given.

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
    if multiplier is None:
        multiplier = noise_multiplier(privacy.epsilon, delta, rate, experiment.releases)
    charge = Charge(rate, multiplier)
    mechanism = OwnNoise(Grid(privacy.clip, learning.batch), learning.perturbations, charge, unit)
    return Guarantee(unit, threat, mechanism, delta, limited + misjudged, _backoff(experiment, limited))


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
