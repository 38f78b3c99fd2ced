"""Coherent aggregation at symbol fidelity: what channel inversion from noisy pilots does to a sum, without its samples.

A projection over N samples of white noise is circular Gaussian of variance E|n|^2 / N, exactly, so for flat gains h and one
reference clock nothing is left out but the converters:

    h_hat = h + CN(0, E|n|^2 / (R N_pilot)),   b = eta / h_hat,   eta = min_active |h_hat| A_max / X
    total = [Re(sum_k h_k b_k x_k) / eta + N(0, E|n|^2 / (2 M eta^2))] / c

c is what the phases' errors leave of a sum on average (`misalignment`; 1 with one clock). `Received.variance` and `snr_db`
are what `CoherentAir` states; its reference slot changes nothing here and is left out.

With a residual carrier offset, the offset's estimate is off by a Gaussian of the posterior variance of `estimate_gain`, and
each device's phase in slot p by that times the time from the middle of its pilots to the middle of the slot (the loss within
a window is left out: it is a sinc of the same small error).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.coherent import COHERENT
from radio.equalisation import power_dbfs, snr_db
from radio.errors import InputError
from radio.inversion import check_payloads, plan_inversion
from radio.misalignment import csi_variance, mean_projection, misalignment
from radio.symbol_channel import SymbolChannel, complex_normal
from radio.tone import SMALLEST_WINDOW

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


def coherent_mse(
    devices: int,
    payload_power: float,
    noise_variance: float,
    window: int,
    alignment: float,
    *,
    amplitude_std: float = 0.0,
    phase_std: float = 0.0,
) -> float:
    """Mean squared error of a sum of independent zero-mean payloads of power E[p^2], in payload units squared.

        K E[p^2] misalignment + E|n|^2 / (2 M eta^2)

    The second term is the Cramer-Rao bound of the sum with known gains.
    """
    return devices * payload_power * misalignment(amplitude_std, phase_std) + noise_variance / (
        2.0 * window * alignment**2
    )


@dataclass(frozen=True)
class CoherentStatistics:
    """The receiver of `CoherentAir` on drawn projections.

    Attributes:
        window: samples over which a payload is integrated.
        pilot_window: samples of a pilot.
        pilot_repeats: pilot sweeps a round.
        truncation: a device below this fraction of the mean gain power is left out.
        min_pilot_snr_db: a gain estimate worse than this is not trusted.
        guard_samples: lead-in of every slot.
        offset_std: standard deviation of the residual carrier offset, cycles per sample; 0 with a common clock.
    """

    window: int = 4096
    pilot_window: int = 4096
    pilot_repeats: int = 1
    truncation: float = 0.1
    min_pilot_snr_db: float = 6.0
    guard_samples: int = 0
    offset_std: float = 0.0

    def __post_init__(self) -> None:
        if min(self.window, self.pilot_window) < SMALLEST_WINDOW or self.pilot_repeats < 1:
            raise InputError(
                f"window is {self.window}, pilot_window {self.pilot_window} samples, pilot_repeats {self.pilot_repeats}; "
                f"at least {SMALLEST_WINDOW}, {SMALLEST_WINDOW} and 1 are needed"
            )

    def estimate(self, gains: Complexes, noise_variance: float, draws: np.random.Generator) -> tuple[Complexes, Floats]:
        """(..., K) gains as sounded, at the middle of each device's pilots, and errors of the offset, radians a sample."""
        samples = self.pilot_window * self.pilot_repeats
        estimates = gains + complex_normal(draws, gains.shape, noise_variance / samples)
        if self.offset_std == 0.0:
            return estimates, np.zeros(gains.shape)
        errors = draws.standard_normal(gains.shape) * np.sqrt(self.offset_variance(gains, noise_variance))
        return estimates, errors

    def offset_variance(self, gains: Complexes, noise_variance: float) -> Floats:
        """(..., K) of the offset's estimate, (radians a sample)^2."""
        information = 2.0 * np.abs(gains) ** 2 * self._spread(gains.shape[-1]) / max(noise_variance, 1e-300)
        prior = (2.0 * np.pi * self.offset_std) ** 2
        return np.asarray(prior / (1.0 + prior * information))

    def _spread(self, devices: int) -> float:
        """Sum over a device's pilot samples of (t - mean)^2."""
        n, repeats = self.pilot_window, self.pilot_repeats
        period = devices * (self.guard_samples + n)
        return repeats * n * (n**2 - 1.0) / 12.0 + n * period**2 * repeats * (repeats**2 - 1.0) / 12.0

    def ages(self, devices: int) -> Floats:
        """(K,) samples from the middle of each device's pilots to the end of the last sweep."""
        slot = self.guard_samples + self.pilot_window
        last = (devices - 1 - np.arange(devices)) * slot + self.pilot_window / 2.0
        return np.asarray(last + (self.pilot_repeats - 1) * devices * slot / 2.0)

    def _age(self, devices: int, slot: int | NDArray[np.int64]) -> Floats:
        """(..., K) samples from the middle of each device's pilots to the middle of payload slot `slot`."""
        slots = slot * (self.guard_samples + self.window) + self.guard_samples + self.window / 2.0
        return np.asarray(self.ages(devices) + slots)

    def turned(self, errors: Floats, slot: int | NDArray[np.int64]) -> Complexes:
        """(..., K) rotation that the offsets' errors cause in payload slot `slot` of the round."""
        return np.asarray(np.exp(-1j * errors * self._age(errors.shape[-1], slot)))

    def phase_variance(self, estimates: Complexes, noise_variance: float, slot: int | NDArray[np.int64]) -> Floats:
        """(..., K) of that rotation's angle, as the receiver knows it."""
        if self.offset_std == 0.0:
            return np.zeros(np.broadcast_shapes(estimates.shape, np.shape(slot)))
        return self.offset_variance(estimates, noise_variance) * self._age(estimates.shape[-1], slot) ** 2

    def rounds(
        self, gains: Complexes, values: Floats, noise_variance: float, draws: np.random.Generator
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Many whole rounds at once, sounding, plan and one slot each.

        Args:
            gains: (R, K) true gains.
            values: (R, K) payloads over their peak, in [-1, 1].
            noise_variance: E|n|^2 per complex sample.
            draws: the noise.

        Returns:
            (R,) sums over the active devices in payload peaks, NaN where nobody is active, and (R, K) who is.
        """
        estimates, errors = self.estimate(gains, noise_variance, draws)
        power = np.abs(estimates) ** 2
        active = power >= self._least(noise_variance)
        if self.offset_std > 0.0:
            active &= power >= 10.0 ** (self.min_pilot_snr_db / 10.0) * self.gain_variance(estimates, noise_variance)
        active &= power >= self.truncation * power.mean(axis=-1, keepdims=True)
        alignment = np.sqrt(np.where(active, power, np.inf).min(axis=-1))
        arrived = np.where(active, values * gains / estimates, 0.0)
        if self.offset_std > 0.0:
            arrived = arrived * self.turned(errors, 0)
        noise = np.sqrt(noise_variance / (2.0 * self.window)) * draws.standard_normal(alignment.shape)
        kept = mean_projection(self.phase_variance(estimates, noise_variance, 0), active)
        total = (arrived.real.sum(axis=-1) + noise / alignment) / kept
        return np.where(active.any(axis=-1), total, np.nan), active

    def _least(self, noise_variance: float) -> float:
        return 10.0 ** (self.min_pilot_snr_db / 10.0) * noise_variance / (self.pilot_window * self.pilot_repeats)

    def gain_variance(self, estimates: Complexes, noise_variance: float) -> Floats:
        """(..., K) as `ChannelState.gain_variance`."""
        variance = np.full(estimates.shape, noise_variance / (self.pilot_window * self.pilot_repeats))
        if self.offset_std > 0.0:
            ages = self.ages(estimates.shape[-1])
            variance += np.abs(estimates) ** 2 * self.offset_variance(estimates, noise_variance) * ages**2
        return variance


class SymbolCoherentAir:
    """`Air` by channel inversion at symbol fidelity: a coherent air of the same settings without waveforms.

    Args:
        channel: gains and noise.
        window, pilot_window, pilot_repeats, truncation, min_pilot_snr_db, guard_samples: see `CoherentStatistics`.
        offset_hz: standard deviation of the residual carrier offset.
        rate_sps: sampling rate.
    """

    def __init__(
        self,
        channel: SymbolChannel,
        *,
        window: int = 4096,
        pilot_window: int | None = None,
        pilot_repeats: int = 1,
        truncation: float = 0.1,
        min_pilot_snr_db: float = 6.0,
        guard_samples: int = 0,
        offset_hz: float = 0.0,
        rate_sps: float = 1e6,
    ) -> None:
        self.devices = channel.devices
        self.statistics = CoherentStatistics(
            window,
            window if pilot_window is None else pilot_window,
            pilot_repeats,
            truncation,
            min_pilot_snr_db,
            guard_samples,
            offset_hz / rate_sps,
        )
        self._channel = channel
        self._last: tuple[int, Complexes, Complexes, Floats] | None = None

    @property
    def mode(self) -> Mode:
        return COHERENT

    @property
    def on_air_samples(self) -> int:
        """Of one scalar, lead-in included."""
        return self.statistics.guard_samples + self.statistics.window

    def _sounded(self, round_index: int) -> tuple[Complexes, Complexes, Floats]:
        """(K,) gains, estimates and errors of the offsets: a function of the round, kept for its payloads."""
        if self._last is None or self._last[0] != round_index:
            gains = self._channel.gains(round_index)
            draws = self._channel.draws(round_index, "sound")
            estimates, errors = self.statistics.estimate(gains, self._channel.noise_variance, draws)
            self._last = (round_index, gains, estimates, errors)
        return self._last[1:]

    def sound(self, round_index: int) -> ChannelState:
        """Offsets are stated as 0: the devices' corrections are part of the drawn errors."""
        _, estimates, _ = self._sounded(round_index)
        variance = self.statistics.gain_variance(estimates, self._channel.noise_variance)
        quality = np.abs(estimates) ** 2 >= 10.0 ** (self.statistics.min_pilot_snr_db / 10.0) * variance
        return ChannelState(estimates, variance, np.zeros(self.devices), self._channel.noise_variance, quality)

    def plan(self, state: ChannelState, payload_peak: float) -> AirPlan:
        """Channel inversion with this air's truncation; see `plan_inversion`."""
        return plan_inversion(state, payload_peak, truncation=self.statistics.truncation)

    def aggregate(self, round_index: int, payloads: Floats, plan: AirPlan) -> Received:
        payloads = check_payloads(payloads, plan, self.devices)
        count, window, noise = payloads.shape[1], self.statistics.window, self._channel.noise_variance
        wanted = np.where(plan.active, plan.precoders, 0.0)[:, None] * np.where(plan.active[:, None], payloads, 0.0)
        sent = wanted / np.maximum(1.0, np.abs(wanted) / (1.0 + 1e-12))
        clipped = (np.abs(wanted) > 1.0 + 1e-12).sum(axis=1) * (self.statistics.guard_samples + window)
        of_noise = np.full(count, np.nan)
        erased = not plan.active.any() or not plan.alignment > 0.0
        if erased:
            total = variance = np.full(count, np.nan)
        else:
            gains, _, errors = self._sounded(round_index)
            turned = self.statistics.turned(errors[None, :], np.arange(count)[:, None]).T if errors.any() else 1.0
            received = (gains[:, None] * turned * sent).sum(axis=0)
            received = received + complex_normal(self._channel.draws(round_index, "air"), (count,), noise / window)
            estimates = self._sounded(round_index)[1]
            phases = self.statistics.phase_variance(estimates, noise, np.arange(count)[:, None])  # (P, K)
            kept = mean_projection(phases, np.broadcast_to(plan.active, phases.shape))
            total = received.real / (plan.alignment * kept)
            of_noise = noise / (2.0 * window * (plan.alignment * kept) ** 2)
            pilot_noise = noise / (self.statistics.pilot_window * self.statistics.pilot_repeats)
            errors_of = csi_variance(estimates[plan.active], pilot_noise, phases[:, plan.active], kept[:, None])
            variance = of_noise + plan.payload_peak**2 / 3.0 * errors_of.sum(axis=-1)
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, of_noise),
            erased=erased,
            reason="no active device" if erased else "",
            clipped=clipped.astype(np.int64),
            transmit_power_dbfs=power_dbfs(np.abs(sent)),
        )

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> SymbolCoherentAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
