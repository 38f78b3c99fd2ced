"""One device at a time: no gain from the air's addition, but every payload is seen. Ground truth and calibration.

Each slot carries its own reference (`radio.three_tone`), so that free-running clocks, late starts and a channel that has
changed since sounding do no harm; sounding decides who takes part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import RadioBank, sounded_state
from radio.cue import Cue
from radio.equalisation import plan_full_scale, snr_db
from radio.errors import InputError
from radio.inversion import check_payloads
from radio.modulator import TdmaModulator, three_tone_amplitude
from radio.outlier import block_statistics, noise_limit
from radio.three_tone import PILOT, Comb, ThreeTone, estimate_values, pilot_evidence

TDMA = Mode("tdma", "magnitude", ("own",), plan_full_scale, takes_turns=True)


HEARD_ODDS = 100.0  # that a device whose pilots sounding heard is still there, before its slot says anything
_CHANCE = 1e-3  # that sounding takes noise for pilots, over all offsets that are searched


@dataclass(frozen=True)
class TdmaSounding:
    """All that a round's pilots tell; (K,) each but the state.

    Attributes:
        state: the channel, as every mode states it.
        pilot_power: both pilots' mean power together, noise taken off, amplitude 1.
        offset_standard_error_hz: of `state.offset_hz`; 0 with a common clock. `state.quality` is its flag as well.
    """

    state: ChannelState
    pilot_power: NDArray[np.float64]
    offset_standard_error_hz: NDArray[np.float64]


def trusted_pilots(power: NDArray[np.float64], projection_variance: float, ratio: float) -> NDArray[np.bool_]:
    """Whether both pilots' power together, noise included, is `ratio` of a projection's noise for each or more."""
    return np.asarray(np.isfinite(power) & (power >= 2.0 * (ratio + 1.0) * projection_variance))


def still_there(
    power: NDArray[np.float64] | float,
    expected: NDArray[np.float64] | float,
    projection_variance: float,
    trials: int = 1,
) -> NDArray[np.bool_]:
    """Whether a slot's pilots are likelier there than gone, at `HEARD_ODDS`; arguments as `pilot_evidence`, not scaled."""
    each = max(projection_variance, 1e-300)
    return np.asarray(
        pilot_evidence(np.asarray(power) / each, np.asarray(expected) / each, trials) > -np.log(HEARD_ODDS)
    )


class TdmaAir:
    """`Air` by one slot for each device and scalar.

    A device takes part if its pilots are heard in sounding (`min_pilot_snr_db`), and a slot is an erasure if its own pilots
    say that the device has gone. What that loses of K = 5 devices of equal strength, static, with a common clock, by SNR per
    received scalar (a pilot has 11.5 dB less; Monte Carlo of 2000 rounds):

        SNR                        0 dB   10 dB   15 dB   20 dB   25 dB   30 dB
        devices left out          100 %    99 %    86 %    12 %     0 %     0 %
        heard rounds then erased      -    23 %     9 %     2 %     0 %     0 %

    (-10 dB is as 0 dB.) To leave a device out below 15 dB or so loses nothing: its number is noise as large as its full
    scale. One that has died since sounding passes a slot with a probability of 63 % if its pilots had 6 dB, 4 % at 10 dB,
    0.2 % at 12 dB and 2e-6 at 15 dB.

    Args:
        bank: the radios.
        window: samples of a slot.
        offset_max_hz: largest carrier offset between a device and the receiver; 0 with a common clock.
        min_pilot_snr_db: a device whose pilots are below this, |h|^2 over the variance of its estimate, is not trusted. The
            power of both pilots together is meant, noise taken off.
        interference_db: a slot is erased when its residual is this far above the sounded noise floor.
        distortion_dbc: residual, relative to the signal, that is our own (converters, images, phase noise).
    """

    def __init__(
        self,
        bank: RadioBank,
        *,
        window: int = 4096,
        offset_max_hz: float = 0.0,
        min_pilot_snr_db: float = 6.0,
        interference_db: float = 6.0,
        distortion_dbc: float = -25.0,
    ) -> None:
        self.waveform = ThreeTone(window)
        if not 0.0 <= offset_max_hz < bank.rate_sps / 4.0:
            raise InputError(
                f"offset_max_hz is {offset_max_hz}; allowed: 0 to a quarter of rate_sps ({bank.rate_sps / 4.0:g})"
            )
        self.devices = bank.devices
        self.offset_max_hz = offset_max_hz
        self.min_pilot_ratio = 10.0 ** (min_pilot_snr_db / 10.0)
        self.interference = 10.0 ** (interference_db / 10.0)
        self.distortion = 10.0 ** (distortion_dbc / 10.0)
        self._bank = bank
        bank.equip(TdmaModulator(self.waveform))
        self._sounded: tuple[int, TdmaSounding] | None = None
        self._idle_fault = ""

    @property
    def mode(self) -> Mode:
        return TDMA

    def sound(self, round_index: int) -> ChannelState:
        """An idle slot, then every device with the payload 0. The phase of `gains` holds for that slot only."""
        gains = np.zeros(self.devices, dtype=np.complex128)
        offsets, errors, pilots = np.zeros((3, self.devices))
        quality = np.zeros(self.devices, dtype=bool)
        window, rate = self.waveform.window, self._bank.rate_sps
        with self._bank.phase(round_index, "sound"):
            idle = self._bank.slot({}, window)
            self._idle_fault = self._bank.idle_fault(idle, self.waveform.span(self._bank.rate_sps, self.offset_max_hz))
            floor = self._bank.noise_floor(idle)
            for k in range(self.devices):
                comb, fault = self._hear(k, Cue("pilot", round_index), floor)
                gains[k], offsets[k] = comb.tones[0] / PILOT, comb.offset_hz
                pilots[k] = comb.pilot_power
                if self.offset_max_hz > 0.0:
                    errors[k] = self.waveform.offset_error_hz(comb, rate, floor / window)
                quality[k] = not fault and not self._idle_fault
        variance = np.full(self.devices, floor / window / PILOT**2)
        quality &= self._bank.present & trusted_pilots(pilots, floor / window, self.min_pilot_ratio)
        state = ChannelState(gains, variance, offsets, floor, quality)
        self._sounded = (round_index, TdmaSounding(state, np.maximum(pilots - 2.0 * floor / window, 0.0), errors))
        return state

    @property
    def sounding(self) -> TdmaSounding | None:
        """All that the last round's pilots told; None before the first."""
        return None if self._sounded is None else self._sounded[1]

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """Sum of the devices' estimates; see `measure`."""
        payloads = check_payloads(payloads, plan, self.devices)
        self._bank.load(payloads, plan)
        return self._bank.account(self.receive(round_index, payloads.shape[1], plan), self.waveform.window)

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """Sum of the devices' estimates of `scalars` numbers each, one after another."""
        values, variances, reason = self._estimates(round_index, scalars, plan)
        active = plan.active
        erased = bool(reason)
        total = np.full(scalars, np.nan) if erased else values[active].sum(axis=0)
        variance = np.full(scalars, np.nan) if erased else variances[active].sum(axis=0)
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, variance),
            erased=erased,
            reason=reason,
            clipped=np.full(self.devices, -1),
            transmit_power_dbfs=self.mode.peak_dbfs(plan),
        )

    def measure(
        self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
        """Every device's own estimate: (K, P) payloads, their variance, why they cannot be trusted."""
        payloads = check_payloads(payloads, plan, self.devices)
        self._bank.load(payloads, plan)
        return self._estimates(round_index, payloads.shape[1], plan)

    def _estimates(
        self, round_index: int, scalars: int, plan: AirPlan
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
        sounding = sounded_state(round_index, self._sounded)
        floor = sounding.state.noise_variance
        values, variances = np.full((2, self.devices, scalars), np.nan)
        if self._idle_fault or not plan.active.any():
            reason = "no active device" + (f"; idle slot: {self._idle_fault}" if self._idle_fault else "")
            return values, variances, reason
        with self._bank.phase(round_index, "air"):
            for p in range(scalars):
                for k in np.flatnonzero(plan.active):
                    amplitude = three_tone_amplitude(plan.precoders[k], plan.payload_peak)
                    expected = float(amplitude**2 * sounding.pilot_power[k])
                    comb, fault = self._hear(int(k), Cue("payload", round_index, p), floor, expected)
                    if fault:
                        return values, variances, f"{fault} (device {k})"
                    value, variance = estimate_values(comb.tones, floor / self.waveform.window)
                    # Nobody sends more than 1; a tenth is left to a channel that is not flat over the comb.
                    if abs(float(value)) > 1.1 + 6.0 * float(np.sqrt(variance)):
                        reason = f"interference: a payload of {float(value):+.2f} where at most 1 is sent (device {k})"
                        return values, variances, reason
                    values[k, p] = plan.payload_peak * value
                    variances[k, p] = plan.payload_peak**2 * variance
        return values, variances, ""

    def _hear(self, device: int, cue: Cue, floor: float, expected: float | None = None) -> tuple[Comb, str]:
        """A slot and why it cannot be trusted; `expected` is the pilots' power by sounding, None in sounding itself."""
        heard = self._bank.slot({device: cue}, self.waveform.window)
        fault = self._bank.fault(heard)
        if fault:
            return Comb(np.zeros(3, dtype=np.complex128), 0.0, 0.0), fault
        comb = self.waveform.read(heard, self._bank.rate_sps, self.offset_max_hz)
        signal = float(np.sum(np.abs(comb.tones) ** 2))
        if comb.residual_power > self.interference * floor + self.distortion * signal:
            above = 10.0 * np.log10(comb.residual_power / max(floor, 1e-300))
            return comb, f"interference: residual {above:.1f} dB above the sounded noise floor"
        if not self._pilots_heard(comb, floor, expected):
            return comb, "no signal: its pilots are not heard in its own slot"
        return comb, self._unsteady(heard, comb, floor, signal)

    def _pilots_heard(self, comb: Comb, floor: float, expected: float | None) -> bool:
        window = self.waveform.window
        trials = self.waveform.searched(self._bank.rate_sps, self.offset_max_hz)
        if expected is None:
            return comb.pilot_power > 2.0 * noise_limit(2, window, trials, _CHANCE) * floor / window
        return bool(still_there(comb.pilot_power, expected, floor / window, trials))

    def _unsteady(self, heard: NDArray[np.complex128], comb: Comb, floor: float, signal: float) -> str:
        """What moves within the slot (samples lost, a burst, a gain that is regulated), or ""."""
        parts = self.waveform.components(comb, self._bank.rate_sps)
        residual = heard - comb.tones @ parts
        residual -= residual.mean()
        # A number of lost samples that is a whole number of one tone's periods shows on the others.
        for part in parts:
            blocks = block_statistics(residual, part, 0j, noise_variance=floor, noise_bins=self.waveform.window)
            if blocks.burst and blocks.burst_power > self.distortion * signal:
                return f"interference: a burst {blocks.burst_db:.1f} dB above the rest of the slot"
            if blocks.wander and blocks.wander_power > self.distortion * signal:
                away = 10.0 * np.log10(blocks.wander_power / signal)
                return f"interference: the tones are not steady within the slot ({away:.0f} dB of the signal)"
        return ""

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        self._bank.close()

    def __enter__(self) -> TdmaAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
