"""PROPOSE: what the server proposes for a slot, from a sounding alone: who takes part, how loud, with how much noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fl.config import Experiment
from fl.guarantee import Guarantee, grid_of
from privacy import power
from privacy.power import MinimumError
from radio.air import AirPlan, ChannelState, Exposed, Sounder


@dataclass(frozen=True)
class Limits:
    """What power control needs besides the channel: fixed before the run, the same for all devices.

    saturation      largest |payload| before noise
    truncation      share of the mean gain power below which a device sits a round out
    guarantee       None when privacy is off
    signs           the noise is inside the sign, so a payload is 1 and needs no room for it
    receiver_noise  announced noise per complex sample; the smaller of it and the measured is counted. None: as measured
    minimum_error   chooses who takes part, instead of the truncation alone
    """

    saturation: float
    truncation: float
    guarantee: Guarantee | None = None
    signs: bool = False
    receiver_noise: float | None = None
    minimum_error: MinimumError | None = None

    def at(self, release: int) -> Limits:
        """Those of one release."""
        if self.guarantee is None or not self.guarantee.schedule:
            return self
        guarantee, rule = self.guarantee.at(release), self.minimum_error
        if rule is not None:
            rule = replace(rule, noise_std=0.0 if self.signs else guarantee.mechanism.noise_std)
        return replace(self, guarantee=guarantee, minimum_error=rule)

    def noise_std(self, active: int) -> float:
        """Own noise of each of `active` devices, payload units; 0 with privacy off."""
        return 0.0 if self.guarantee is None else self.guarantee.noise_std(active)


def limits_of(experiment: Experiment, guarantee: Guarantee | None) -> Limits:
    """What power control must leave room for: a clipped value and its noise, or a sign, which is 1 with its noise in it."""
    learning, radio, clip = experiment.learning, experiment.radio, experiment.privacy.clip
    signs = learning.payload == "sign"
    rule = None
    if radio.truncation == "auto":
        noise_std = 0.0 if guarantee is None or signs else guarantee.mechanism.noise_std
        # The mean of B independent values at the clip; a sign is 1.
        size = 1.0 if signs else clip**2 / learning.batch
        rule = MinimumError(noise_std, payload_power=size, samples=radio.window, spread=size)
    return Limits(
        saturation=1.0 if signs else grid_of(experiment).payload_limit,
        truncation=radio.least_share,
        guarantee=guarantee,
        signs=signs,
        receiver_noise=experiment.privacy.receiver_noise,
        minimum_error=rule,
    )


@dataclass(frozen=True)
class Proposal:
    """All of it public, for it comes from pilots and settings.

    plan               who, and how loud
    noise_std          own noise of each active device on each scalar, payload units
    receiver_variance  N0 / c^2: the receiver's noise on the sum, per real dimension over the whole time on air, as far as
                       it may be trusted; None where the mode counts no receiver's noise, or nobody takes part
    csi_error          sigma_e / |h_hat| of the worst estimate that was inverted; None like the above
    """

    plan: AirPlan
    noise_std: float
    receiver_variance: float | None = None
    csi_error: float | None = None

    @property
    def active(self) -> int:
        return int(self.plan.active.sum())

    def record(self) -> dict[str, float | int | None]:
        """For the journal: what the statement needs to tell what the slot cost under every threat."""
        return {
            "active": self.active,
            "noise_std": self.noise_std,
            "receiver_variance": self.receiver_variance,
            "csi_error": self.csi_error,
        }


def propose(state: ChannelState, air: Sounder, limits: Limits, release: int = 0) -> Proposal:
    """Who takes part follows from the channel; how much noise each adds, from how many they are; how loud they may be, from
    the noise, and where the receiver's noise is counted also from how little there is of it.

    release  first of the slot; what noise it takes was fixed before the run

    Raises InputError for impossible limits.
    """
    limits = limits.at(release)
    guarantee = limits.guarantee

    def planned(noise_std: float, amplitude_max: float = 1.0) -> AirPlan:
        return power.plan(
            state,
            0.0 if limits.signs else noise_std,
            limits.saturation,
            limits.truncation,
            power.DEFAULT_BACKOFF if guarantee is None else guarantee.backoff,
            amplitude_max,
            rule=limits.minimum_error or air.mode.plan,
        )

    plan = planned(limits.noise_std(1))
    active = int(plan.active.sum())
    noise_std = limits.noise_std(active)
    if noise_std != limits.noise_std(1):
        plan = planned(noise_std)
    if "receiver" not in air.mode.counts_for_privacy or not active:
        return Proposal(plan, noise_std)
    assert isinstance(air, Exposed)
    counted = min(state.noise_variance, limits.receiver_noise or math.inf) / (2.0 * air.on_air_samples)
    if guarantee is not None and "receiver" in guarantee.threat.counts:
        loudest = guarantee.threat.alignment_limit(counted, guarantee.wanted)
        if loudest < plan.alignment:
            plan = planned(noise_std, loudest / plan.alignment)
    return Proposal(plan, noise_std, counted / plan.alignment**2, _csi_error(state, plan))


def _csi_error(state: ChannelState, plan: AirPlan) -> float:
    gains, variances = state.gains[plan.active], state.gain_variance[plan.active]
    return float(np.max(np.sqrt(variances) / np.abs(gains)))


def among(proposal: Proposal, willing: np.ndarray) -> Proposal:
    """The proposal for those only who are `willing` (K,)."""
    return replace(proposal, plan=replace(proposal.plan, active=proposal.plan.active & willing))
