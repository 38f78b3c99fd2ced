"""TDMA at symbol fidelity: the three tones of every slot as complex Gaussians, read by the same estimator.

A projection of M samples of white noise is circular Gaussian of variance E|n|^2/M, exactly, and the tones are orthogonal;
carrier offsets and late starts cancel in the estimator (`radio.three_tone`) and are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import sounded_state
from radio.equalisation import power_dbfs, snr_db
from radio.inversion import check_payloads
from radio.symbol_channel import SymbolChannel, complex_normal
from radio.tdma import TDMA, still_there, trusted_pilots
from radio.three_tone import PAYLOAD, PILOT, ThreeTone, estimate_values


def observe_tones(
    gains: NDArray[np.complex128],
    values: NDArray[np.float64],
    projection_variance: float,
    draws: np.random.Generator,
) -> NDArray[np.complex128]:
    """(..., 3) received tone amplitudes of slots with gains (...), transmit amplitude included, and values (...)."""
    sent = np.stack(np.broadcast_arrays(PILOT, PILOT, PAYLOAD * values), axis=-1)
    tones = gains[..., None] * sent
    return np.asarray(tones + complex_normal(draws, tones.shape, projection_variance))


class SymbolTdmaAir:
    """`Air` by TDMA at symbol fidelity; arguments as `TdmaAir`."""

    def __init__(self, channel: SymbolChannel, *, window: int = 4096, min_pilot_snr_db: float = 6.0) -> None:
        self.devices = channel.devices
        self.window = ThreeTone(window).window
        self.min_pilot_ratio = 10.0 ** (min_pilot_snr_db / 10.0)
        self._channel = channel
        self._sounded: tuple[int, NDArray[np.float64]] | None = None

    @property
    def mode(self) -> Mode:
        return TDMA

    @property
    def projection_variance(self) -> float:
        return self._channel.noise_variance / self.window

    def sound(self, round_index: int) -> ChannelState:
        draws = self._channel.draws(round_index, "sound")
        each = self.projection_variance
        tones = observe_tones(self._channel.gains(round_index), np.zeros(self.devices), each, draws)
        gains, pilots = tones[:, 0] / PILOT, (np.abs(tones[:, :2]) ** 2).sum(axis=1)
        variance = np.full(self.devices, each / PILOT**2)
        quality = trusted_pilots(pilots, each, self.min_pilot_ratio)
        self._sounded = (round_index, np.maximum(pilots - 2.0 * each, 0.0))
        return ChannelState(gains, variance, np.zeros(self.devices), self._channel.noise_variance, quality)

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        payloads = check_payloads(payloads, plan, self.devices)
        amplitude = np.minimum(np.abs(plan.precoders) * plan.payload_peak, 1.0)
        wanted = np.where(plan.active[:, None], payloads, 0.0) / plan.payload_peak
        sent = np.clip(wanted, -1.0, 1.0)
        gains = (self._channel.gains(round_index) * amplitude)[:, None]
        draws = self._channel.draws(round_index, "air")
        tones = observe_tones(np.broadcast_to(gains, sent.shape), sent, self.projection_variance, draws)
        values, variances = estimate_values(tones, self.projection_variance)
        reason = "" if plan.active.any() else "no active device"
        expected = amplitude**2 * sounded_state(round_index, self._sounded)
        pilots = (np.abs(tones[..., :2]) ** 2).sum(axis=-1)
        here = still_there(pilots, expected[:, None], self.projection_variance)
        # As `TdmaAir`: nobody sends more than 1; a tenth is left to a channel that is not flat over the comb.
        over = np.abs(values) > 1.1 + 6.0 * np.sqrt(variances)
        if not here[plan.active].all():
            reason = "no signal: a device's pilots are not heard in its own slot"
        elif over[plan.active].any():
            reason = "interference: a payload of more than is sent"
        erased = bool(reason)
        nothing = np.full(payloads.shape[1], np.nan)
        total = nothing if erased else plan.payload_peak * values[plan.active].sum(axis=0)
        variance = nothing if erased else plan.payload_peak**2 * variances[plan.active].sum(axis=0)
        rms = np.sqrt(2.0 * PILOT**2 + (PAYLOAD * sent) ** 2) * np.where(plan.active, amplitude, 0.0)[:, None]
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, variance),
            erased=erased,
            reason=reason,
            clipped=((np.abs(wanted) > 1.0 + 1e-12).sum(axis=1) * self.window).astype(np.int64),
            transmit_power_dbfs=power_dbfs(rms),
        )

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> SymbolTdmaAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
