"""TDMA at symbol fidelity: the three tones of every slot as complex Gaussians, read by the same estimator.

A projection of M samples of white noise is circular Gaussian of variance E|n|^2/M, exactly, and the tones are orthogonal;
carrier offsets and late starts cancel in the estimator (`radio.three_tone`) and are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.equalisation import power_dbfs, snr_db
from radio.inversion import check_payloads
from radio.symbol_channel import SymbolChannel, complex_normal
from radio.tdma import TDMA
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

    def __init__(self, channel: SymbolChannel, *, window: int = 4096, min_pilot_snr_db: float = 15.0) -> None:
        self.devices = channel.devices
        self.window = ThreeTone(window).window
        self.min_pilot_ratio = 10.0 ** (min_pilot_snr_db / 10.0)
        self._channel = channel

    @property
    def mode(self) -> Mode:
        return TDMA

    @property
    def projection_variance(self) -> float:
        return self._channel.noise_variance / self.window

    def sound(self, round_index: int) -> ChannelState:
        draws = self._channel.draws(round_index, "sound")
        noise = complex_normal(draws, (self.devices,), self.projection_variance)
        gains = self._channel.gains(round_index) + noise / PILOT
        variance = np.full(self.devices, self.projection_variance / PILOT**2)
        quality = np.abs(gains) ** 2 >= self.min_pilot_ratio * variance
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
        erased = not plan.active.any()
        nothing = np.full(payloads.shape[1], np.nan)
        total = nothing if erased else plan.payload_peak * values[plan.active].sum(axis=0)
        variance = nothing if erased else plan.payload_peak**2 * variances[plan.active].sum(axis=0)
        rms = np.sqrt(2.0 * PILOT**2 + (PAYLOAD * sent) ** 2) * np.where(plan.active, amplitude, 0.0)[:, None]
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, variance),
            erased=erased,
            reason="no active device" if erased else "",
            clipped=((np.abs(wanted) > 1.0 + 1e-12).sum(axis=1) * self.window).astype(np.int64),
            transmit_power_dbfs=power_dbfs(rms),
        )

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> SymbolTdmaAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
