"""Power control of modes that add amplitudes: channel inversion under a peak limit, with truncation of deep fades."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, PlanRule
from radio.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What a plan must keep to; the arguments of every `PlanRule`. InputError for limits that no plan can keep.

    Attributes:
        payload_peak: X, the largest |x| that must fit, artificial noise included; larger ones are limited and counted.
        truncation: fraction of the mean gain power below which a device is left out.
        amplitude_max: A_max <= 1, DAC full scales.
        mean_gain_power: E|h|^2 if it is known; else the mean over the devices of this sounding.
    """

    payload_peak: float
    truncation: float = 0.1
    amplitude_max: float = 1.0
    mean_gain_power: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.payload_peak) and self.payload_peak > 0.0):
            raise InputError(f"payload_peak is {self.payload_peak}; a positive finite payload is needed")
        if not (math.isfinite(self.truncation) and self.truncation >= 0.0):
            raise InputError(
                f"truncation is {self.truncation}; allowed: a finite fraction of the mean gain power, at least 0"
            )
        if not 0.0 < self.amplitude_max <= 1.0:
            raise InputError(f"amplitude_max is {self.amplitude_max}; allowed: above 0 and at most 1 (DAC full scale)")

    def active_set(self, state: ChannelState) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(K,) |h|^2 and (K,) who takes part: trusted, and |h|^2 >= truncation * mean |h|^2."""
        finite = np.isfinite(state.gains)
        power = np.where(finite, np.abs(np.where(finite, state.gains, 0.0)) ** 2, 0.0)
        mean = self.mean_gain_power
        if mean is None:
            mean = float(power[finite].mean()) if finite.any() else 0.0
        heard = np.asarray(state.quality, dtype=bool) & finite & (power > 0.0)
        return power, heard & (power >= self.truncation * mean)


def plan_rule(rule: Callable[[ChannelState, Limits], AirPlan]) -> PlanRule:
    """Decorator: a rule of (state, limits) as a `PlanRule`, whose arguments are those of `Limits`."""

    def plan(
        state: ChannelState,
        payload_peak: float,
        *,
        truncation: float = 0.1,
        amplitude_max: float = 1.0,
        mean_gain_power: float | None = None,
    ) -> AirPlan:
        return rule(state, Limits(payload_peak, truncation, amplitude_max, mean_gain_power))

    plan.__doc__, plan.__name__, plan.__qualname__ = rule.__doc__, rule.__name__, rule.__qualname__
    return plan


@plan_rule
def plan_inversion(state: ChannelState, limits: Limits) -> AirPlan:
    """Everybody arrives with the same amplitude eta per unit of payload; the weakest active device sets it.

        b_k = eta / h_k,   eta = min_{active} |h_k| A_max / X      (pluto.md section 4; arXiv 2604.12401 section II)

    so |b_k x| <= A_max for every |x| <= X, with equality for the weakest. Who is left out depends on the channel alone:
    |h_k|^2 < truncation * mean |h|^2, or an estimate that is not to be trusted. Never on data.
    """
    power, active = limits.active_set(state)
    precoders = np.zeros(state.gains.shape, dtype=np.complex128)
    alignment = 0.0
    if active.any():
        alignment = math.sqrt(float(power[active].min())) * limits.amplitude_max / limits.payload_peak
        precoders[active] = alignment / state.gains[active]
    return AirPlan(precoders, active, alignment, float(limits.payload_peak))


def check_payloads(payloads: NDArray[np.float64], plan: AirPlan, devices: int) -> NDArray[np.float64]:
    """`payloads` as float64 (K, P), or InputError; NaN in an active row must never reach the air."""
    payloads = np.asarray(payloads, dtype=np.float64)
    if payloads.ndim != 2 or payloads.shape[0] != devices or payloads.shape[1] < 1:
        raise InputError(f"payloads have shape {payloads.shape}; allowed: ({devices}, P) with P at least 1")
    if plan.active.shape != (devices,) or plan.precoders.shape != (devices,):
        raise InputError(f"the plan is for {plan.active.size} devices; this air has {devices}")
    if not np.all(np.isfinite(payloads[plan.active])):
        raise InputError("a payload of an active device is not finite; clip it or replace it by 0 before the air")
    return payloads
