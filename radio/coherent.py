"""Coherent over-the-air aggregation over any radios that share a reference clock.

A round is: idle slot, pilot sweeps (`sound`), then one slot for each perturbation in which all active devices send
their tone at complex amplitude precoder * x_k at the same time and the receiver projects the sum once (`aggregate`).
A device's start offset and phase must hold from its pilot to the payload: one trigger or one time base a round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.converter import Converter
from radio.errors import InputError
from radio.inversion import check_payloads, plan_inversion
from radio.pilot import PilotSettings, saturated_fraction, sound_pilots
from radio.radio import Radio
from radio.tone import Tone, ToneEstimate, phasor


COHERENT = Mode("coherent", "complex", ("own", "others", "receiver"), plan_inversion)


class CoherentAir:
    """`Air` by tone projection and channel inversion.

    Args:
        transmitters: K radios, one for each device.
        receiver: the radio that listens; its `clock_samples` is the time base of carrier-offset correction.
        window: samples over which a payload is integrated.
        pilot_window: samples of a pilot (default: `window`).
        pilot_repeats: pilot sweeps a round; 2 where a residual offset must be estimated.
        rate_sps: set on every radio.
        guard_samples: lead-in of every burst, thrown away; at least the largest start offset in samples.
        offset_prior_hz: see `PilotSettings`.
        receive_gain_db: manual gain, held for the whole run so that pilots and payloads see the same.
        adc_bits: of the receiver's converter (its quantisation is the least noise floor); None for an ideal one.
        min_pilot_snr_db: see `PilotSettings.min_snr_db`.
        interference_db: a slot is erased when its residual is this far above the sounded noise floor.
        distortion_dbc: residual, relative to the signal, that is our own (converters, offset within the window).
        max_saturated: fraction of ADC samples at full scale beyond which a slot is erased.
        truncation: default of `plan`: a device below this fraction of the mean gain power is left out.
        on_phase: called with (round, "sound" | "air") before each; a simulated medium selects its draws there.
    """

    mode = COHERENT

    def __init__(
        self,
        transmitters: Sequence[Radio],
        receiver: Radio,
        *,
        window: int = 4096,
        pilot_window: int | None = None,
        pilot_repeats: int = 1,
        rate_sps: float = 1e6,
        guard_samples: int = 0,
        offset_prior_hz: float = 0.0,
        receive_gain_db: float = 0.0,
        adc_bits: int | None = 12,
        min_pilot_snr_db: float = 6.0,
        interference_db: float = 6.0,
        distortion_dbc: float = -30.0,
        max_saturated: float = 1e-3,
        truncation: float = 0.1,
        on_phase: Callable[[int, str], None] | None = None,
    ) -> None:
        if not transmitters:
            raise InputError("a coherent air needs at least one transmitter; none was given")
        self.devices = len(transmitters)
        self.tone = Tone(window)
        self.guard_samples = guard_samples
        self.interference = 10.0 ** (interference_db / 10.0)
        self.distortion = 10.0 ** (distortion_dbc / 10.0)
        self.max_saturated = max_saturated
        self.truncation = truncation
        self.pilots = PilotSettings(
            window=window if pilot_window is None else pilot_window,
            repeats=pilot_repeats,
            guard_samples=guard_samples,
            offset_prior_hz=offset_prior_hz,
            min_snr_db=min_pilot_snr_db,
            max_saturated=max_saturated,
            floor_variance=Converter(adc_bits).noise_variance,
        )
        self._transmitters = list(transmitters)
        self._receiver = receiver
        self._on_phase = on_phase
        self._sounded: tuple[int, ChannelState, int] | None = None
        self._closed = False
        for radio in (*self._transmitters, receiver):
            radio.mute()
            radio.rate_sps = rate_sps
        receiver.receive_gain_db = receive_gain_db

    def sound(self, round_index: int) -> ChannelState:
        """Pilots of every device, one after another. Muted afterwards, whatever happened."""
        self._check_open()
        try:
            if self._on_phase is not None:
                self._on_phase(round_index, "sound")
            state, reference = sound_pilots(
                self._transmitters,
                self._receiver,
                self.tone,
                self.pilots,
                interference=self.interference,
                distortion=self.distortion,
            )
        finally:
            self.mute()
        self._sounded = (round_index, state, reference)
        return state

    def plan(self, state: ChannelState, payload_peak: float) -> AirPlan:
        """Channel inversion with this air's truncation; see `plan_inversion`."""
        return plan_inversion(state, payload_peak, truncation=self.truncation)

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """One slot for each column of `payloads` (K, P). Muted afterwards, whatever happened."""
        self._check_open()
        payloads = check_payloads(payloads, plan, self.devices)
        if self._sounded is None or self._sounded[0] != round_index:
            last = "none" if self._sounded is None else str(self._sounded[0])
            raise InputError(
                f"aggregate of round {round_index}, but the last round sounded is {last}; sound({round_index}) first"
            )
        _, state, reference = self._sounded
        count = payloads.shape[1]
        wanted = np.where(plan.active, plan.precoders, 0.0)[:, None] * np.where(plan.active[:, None], payloads, 0.0)
        # Limiting the complex amplitude keeps the waveform a tone; limiting rails would add harmonics.
        sent = wanted / np.maximum(1.0, np.abs(wanted) / (1.0 + 1e-12))
        over = np.abs(wanted) > 1.0 + 1e-12
        total, variance, snr_db = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
        slots = 0
        reason = ""
        if not plan.active.any() or not plan.alignment > 0.0:
            reason = "no active device"
        else:
            try:
                if self._on_phase is not None:
                    self._on_phase(round_index, "air")
                for p in range(count):
                    slots += 1
                    heard = self._slot(sent[:, p], plan.active, state, reference)
                    estimate = self.tone.project(heard[self.guard_samples :], start=self.guard_samples)
                    reason = self._fault(heard, estimate, state, plan)
                    if reason:
                        break
                    total[p] = estimate.amplitude.real / plan.alignment
                    # The idle slot and this one know the floor equally well.
                    noise = max((estimate.noise_variance + state.noise_variance) / 2.0, self.pilots.floor_variance)
                    variance[p] = noise / (2.0 * self.tone.window * plan.alignment**2)
                    snr_db[p] = 10.0 * math.log10(plan.payload_peak**2 / variance[p]) if variance[p] > 0.0 else math.inf
            finally:
                self.mute()
        if reason:
            total[:] = variance[:] = snr_db[:] = np.nan
        power = (np.abs(sent[:, :slots]) ** 2).mean(axis=1) if slots else np.zeros(self.devices)
        with np.errstate(divide="ignore"):
            power_dbfs = 10.0 * np.log10(power)
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db,
            erased=bool(reason),
            reason=reason,
            clipped=(over[:, :slots].sum(axis=1) * (self.guard_samples + self.tone.window)).astype(np.int64),
            transmit_power_dbfs=power_dbfs,
        )

    def _slot(
        self, amplitudes: NDArray[np.complex128], active: NDArray[np.bool_], state: ChannelState, reference: int
    ) -> NDArray[np.complex128]:
        """All active devices at once, each turning against its own estimated carrier offset."""
        length = self.guard_samples + self.tone.window
        start = self._receiver.clock_samples - reference
        base = self.tone.samples(length)
        for k in np.flatnonzero(active):
            wave = amplitudes[k] * base
            if state.offset_hz[k] != 0.0:
                wave *= phasor(-state.offset_hz[k] / self._receiver.rate_sps, length, start)
            self._transmitters[k].transmit(wave, cyclic=False)
        heard = self._receiver.receive(length)
        self.mute()
        return heard

    def _fault(self, heard: NDArray[np.complex128], estimate: ToneEstimate, state: ChannelState, plan: AirPlan) -> str:
        """Why this slot cannot be trusted, or ""."""
        if not np.all(np.isfinite(heard.view(np.float64))):
            return "received samples are not finite"
        saturated = saturated_fraction(heard)
        if saturated > self.max_saturated:
            return f"ADC saturated: {100.0 * saturated:.2g} % of the samples at full scale; lower receive_gain_db"
        one = (plan.alignment * plan.payload_peak) ** 2
        signal = one * float(plan.active.sum()) + abs(estimate.amplitude) ** 2
        allowed = self.interference * state.noise_variance + self.distortion * signal
        if estimate.residual_power > allowed:
            above = 10.0 * math.log10(estimate.residual_power / max(state.noise_variance, 1e-300))
            return f"interference: residual {above:.1f} dB above the sounded noise floor"
        # Half as much again as all devices at full scale: the channel's estimates are not that wrong.
        most = 1.5 * float(np.abs(state.gains[plan.active]).sum()) + 6.0 * estimate.standard_error
        if abs(estimate.amplitude) > most:
            return f"interference: received amplitude {abs(estimate.amplitude):.3g}, devices send {most:.3g} at most"
        return ""

    def mute(self) -> None:
        """Silence every transmitter, even if one of them fails to obey; then report the first failure."""
        failure: Exception | None = None
        for radio in self._transmitters:
            try:
                radio.mute()
            except Exception as error:  # the others must be muted first
                failure = failure or error
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        if self._closed:
            return
        self._closed = True
        failure: Exception | None = None
        for radio in (*self._transmitters, self._receiver):
            try:
                radio.close()
            except Exception as error:  # the others must be closed first
                failure = failure or error
        if failure is not None:
            raise failure

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this air is closed; open a new one")

    def __enter__(self) -> CoherentAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
