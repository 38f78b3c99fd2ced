"""The reference: an air that adds without error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.errors import InputError
from radio.inversion import check_payloads, plan_inversion

IDEAL = Mode("ideal", "none", ("own",), plan_inversion)


class IdealAir:
    """Exact sum over the active set: unit gains, no noise, no limit on amplitude."""

    mode = IDEAL

    def __init__(self, devices: int) -> None:
        if devices < 1:
            raise InputError(f"devices is {devices}; at least 1 is needed")
        self.devices = devices

    def sound(self, round_index: int) -> ChannelState:
        zeros, ones = np.zeros(self.devices), np.ones(self.devices)
        return ChannelState(ones.astype(np.complex128), zeros, zeros, 0.0, ones.astype(bool))

    def plan(self, state: ChannelState, payload_peak: float) -> AirPlan:
        """Everybody the channel state trusts, at equal amplitude."""
        return plan_inversion(state, payload_peak, truncation=0.0)

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        payloads = check_payloads(payloads, plan, self.devices)
        count = payloads.shape[1]
        erased = not plan.active.any()
        total = payloads[plan.active].sum(axis=0) if not erased else np.full(count, np.nan)
        amplitudes = np.where(plan.active, np.abs(plan.precoders), 0.0)[:, None] * np.abs(payloads)
        with np.errstate(divide="ignore"):
            power_dbfs = 10.0 * np.log10((amplitudes**2).mean(axis=1))
        return Received(
            total=total,
            variance=np.zeros(count),
            snr_db=np.full(count, np.inf),
            erased=erased,
            reason="no active device" if erased else "",
            clipped=np.zeros(self.devices, dtype=np.int64),
            transmit_power_dbfs=power_dbfs,
        )

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> IdealAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
