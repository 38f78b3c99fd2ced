"""Coherent over-the-air aggregation over any radios that share a reference clock.

A round is: idle slot, pilot sweeps (`sound`), then one slot for each perturbation in which all active devices send
their tone at complex amplitude precoder * x_k at the same time and the receiver projects the sum once, and a slot of known
payloads that tells whether the channel is still the sounded one (`aggregate`).
A device's start offset and phase must hold from its pilot to the payload: one trigger or one time base a round, or, where
every start is late by an unknown time, one start for many rounds (`radio.held`): the tone runs on, and pilots and payloads are
weights on it. Without a shared clock nothing holds; sounding finds the phases moved and the round is an erasure that says so.

Frequency-selective channels need no other waveform: see `tone` and decision 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import sounded_state
from radio.cast import Cast, OwnCast, close_all, own_cast
from radio.converter import Converter
from radio.cue import REST, Cue
from radio.errors import InputError
from radio.held import HeldTones
from radio.inversion import check_payloads, plan_inversion
from radio.marker import mark
from radio.misalignment import csi_variance, mean_projection
from radio.modulator import ToneModulator
from radio.pilot import PilotSettings
from radio.radio import Radio, clock_epoch
from radio.slot_check import REFERENCE_LEVEL, Reference, SlotJudge
from radio.sounding import LOST_COUNT, Sounding, sound_pilots
from radio.tone import Tone

COHERENT = Mode("coherent", "complex", ("own", "others", "receiver"), plan_inversion)


class CoherentAir:
    """`Air` by tone projection and channel inversion.

    `Received.variance` is that of the receiver's noise and of the channel estimates' errors, the latter for payloads
    uniform in [-X, X] (mean square X^2 / 3, X the plan's `payload_peak`). Where an offset is estimated, the phases' errors
    grow from slot to slot; what they take from a sum on average is given back (`misalignment`). `Received.snr_db` is of the
    noise alone.

    After the payloads comes a reference slot: everybody sends X/2, and the sum must be n X/2. A receive gain that moves
    without the radio's telling, a channel that is not the sounded one, a device that has died, a carrier that began with the
    payloads are errors of the reference as well, and erase. With deviation d, what can pass is |d| <= 0.02 (the tolerance)
    + 4.9 standard deviations of the reference by noise and pilots, which is an error of d times the sum: below 2 % of
    full scale where the SNR is high, within the sums' own noise where it is low. A d beyond 3 standard deviations
    that passes is in `Received.variance`, as (d total)^2. What moves to and fro between the slots stays hidden.
    Before that, the noise floor under the tone tells large changes of gain (`floor_change`).

    Args:
        transmitters: K radios, one for each device, or the cast that they are in elsewhere, which must hold its tones.
        receiver: the radio that listens; its `clock_samples` is the time base of carrier-offset correction.
        window: samples over which a payload is integrated.
        pilot_window: samples of a pilot (default: `window`).
        pilot_repeats: pilot sweeps a round; 2 where a residual offset must be estimated, and wherever the shared clock is
            not beyond doubt: a single pilot shows a moving phase only within its own length.
        rate_sps: set on every radio.
        guard_samples: lead-in of every burst, thrown away; at least the largest start offset in samples.
        offset_prior_hz, offset_range_hz, max_phase_change_deg: see `PilotSettings`.
        receive_gain_db: manual gain, held for the whole run so that pilots and payloads see the same.
        adc_bits: of the receiver's converter (its quantisation is the least noise floor); None for an ideal one.
        min_pilot_snr_db: see `PilotSettings.min_snr_db`.
        interference_db: a slot is erased when its residual is this far above the sounded noise floor.
        distortion_dbc: residual, relative to the signal, that is our own (converters, offset within the window).
        max_saturated: fraction of ADC samples at full scale beyond which a slot is erased.
        truncation: default of `plan`: a device below this fraction of the mean gain power is left out.
        reference_tolerance: how far the reference slot may be off, relative, beyond chance; inf: none is sent.
        hold_samples: None: every pilot and payload is a start of its own. Else one cyclic start, this many samples to wait
            for the last of them, then weights, from round to round; needs `WeighableRadio`s and a shared clock.
        on_phase: called with (round, "sound" | "air") before each; a simulated medium selects its draws there.
    """

    mode = COHERENT

    def __init__(
        self,
        transmitters: Sequence[Radio] | Cast,
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
        offset_range_hz: float = 0.0,
        max_phase_change_deg: float = 10.0,
        reference_tolerance: float = 0.02,
        hold_samples: int | None = None,
        on_phase: Callable[[int, str], None] | None = None,
    ) -> None:
        self.tone = Tone(window)
        self.guard_samples = guard_samples
        self.truncation = truncation
        self.reference_tolerance = reference_tolerance
        self.pilots = PilotSettings(
            window=window if pilot_window is None else pilot_window,
            repeats=pilot_repeats,
            guard_samples=guard_samples,
            offset_prior_hz=offset_prior_hz,
            min_snr_db=min_pilot_snr_db,
            max_saturated=max_saturated,
            floor_variance=Converter(adc_bits).noise_variance,
            offset_range_hz=offset_range_hz,
            max_phase_change_deg=max_phase_change_deg,
        )
        self.judge = SlotJudge(
            self.tone,
            guard_samples,
            self.pilots.floor_variance,
            10.0 ** (interference_db / 10.0),
            10.0 ** (distortion_dbc / 10.0),
            max_saturated,
        )
        self.hold_samples = hold_samples
        radios = transmitters if isinstance(transmitters, Sequence) else []
        modulator = ToneModulator(self.tone, hold_samples is not None, self.pilots.window, guard_samples)
        self._cast: Cast = OwnCast(transmitters, modulator) if isinstance(transmitters, Sequence) else transmitters
        self.devices = self._cast.devices
        if not self.devices:
            raise InputError("a coherent air needs at least one transmitter; none was given")
        self._held: HeldTones | None = None
        if hold_samples is not None:
            if hold_samples < 0 or offset_prior_hz > 0.0 or offset_range_hz > 0.0:
                raise InputError(
                    f"hold_samples is {hold_samples} with offset_prior_hz {offset_prior_hz} and offset_range_hz "
                    f"{offset_range_hz}; holding needs at least 0 samples and a shared clock (no offsets to correct)"
                )
            self._held = HeldTones(self._cast, hold_samples + guard_samples)
        self._receiver = receiver
        self._on_phase = on_phase
        self._sounded: tuple[int, Sounding] | None = None
        self._closed = False
        for radio in (*radios, receiver):
            radio.mute()
            radio.rate_sps = rate_sps
        receiver.receive_gain_db = receive_gain_db

    def sound(self, round_index: int) -> ChannelState:
        """Pilots of every device, one after another. Muted afterwards, whatever happened (held: weighed to nothing)."""
        self._check_open()
        self._sounded = None
        try:
            if self._on_phase is not None:
                self._on_phase(round_index, "sound")
            sounding = sound_pilots(
                self._cast,
                self._receiver,
                round_index,
                self.tone,
                self.pilots,
                interference=self.judge.interference,
                distortion=self.judge.distortion,
                held=self._held,
            )
        except BaseException:
            self.mute()
            raise
        if self._held is None:
            self.mute()
        elif not sounding.state.quality[self._cast.present].all():
            self._held.distrust()
        self._sounded = (round_index, sounding)
        return sounding.state

    @property
    def on_air_samples(self) -> int:
        """Of one scalar, lead-in included."""
        return self.guard_samples + self.tone.window

    @property
    def receive_gain_db(self) -> float:
        """Of the receiver, manual."""
        return self._receiver.receive_gain_db

    @property
    def sounding(self) -> Sounding | None:
        """All that the last round's pilots told, faults by device included; None before the first."""
        return None if self._sounded is None else self._sounded[1]

    @property
    def faults(self) -> tuple[str, ...]:
        """See `radio.air.Explaining`."""
        return () if self._sounded is None else self._sounded[1].faults

    def plan(self, state: ChannelState, payload_peak: float) -> AirPlan:
        """Channel inversion with this air's truncation; see `plan_inversion`."""
        return plan_inversion(state, payload_peak, truncation=self.truncation)

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """`receive`, of `payloads` (K, P)."""
        self._check_open()
        try:
            payloads = check_payloads(payloads, plan, self.devices)
            own_cast(self._cast).load(payloads, plan)
        except BaseException:
            self._silence()
            raise
        received = self.receive(round_index, payloads.shape[1], plan)
        return own_cast(self._cast).account(received, self.on_air_samples)

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """One slot for each of `scalars` numbers. Muted afterwards, whatever happened.

        Held tones run on at weight 0, until `mute` or `close`. An error, InputError included, mutes them as well.
        """
        self._check_open()
        try:
            return self._receive(round_index, scalars, plan)
        except BaseException:
            self._silence()
            raise

    def _receive(self, round_index: int, count: int, plan: AirPlan) -> Received:
        sounding = sounded_state(round_index, self._sounded)
        state, active = sounding.state, plan.active
        checked = math.isfinite(self.reference_tolerance)
        total, variance, snr_db = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
        reason = ""
        if sounding.clock_moves or sounding.idle_fault:
            reason = sounding.reason
        elif not active.any() or not plan.alignment > 0.0:
            reason = "no active device" + (f"; {sounding.reason}" if sounding.reason else "")
        else:
            if self._on_phase is not None:
                self._on_phase(round_index, "air")
            for p in range(count + checked):
                cue = (
                    Cue("payload", round_index, p)
                    if p < count
                    else Cue("reference", round_index, p, level=REFERENCE_LEVEL)
                )
                heard, start = self._slot(cue, active, sounding)
                clock = self._receiver.clock_samples
                mark(
                    self._receiver, "payload" if p < count else "reference", clock - heard.size, heard.size,
                    perturbation=p, active=np.flatnonzero(active), guard_samples=self.guard_samples,
                    cycles_per_sample=self.tone.cycles_per_sample, tone_start=start,
                )  # fmt: skip
                estimate = self.tone.project(heard[self.guard_samples :], start=start)
                lost = self._held is not None and clock_epoch(self._receiver) != sounding.clock_epoch
                reason = LOST_COUNT if lost else self.judge.fault(heard, start, estimate, sounding, plan)
                if reason:
                    break
                phases = self._phase_variance(clock, sounding)
                kept = float(mean_projection(phases, active))
                value = estimate.amplitude.real / (plan.alignment * kept)
                # The idle slot and this one know the floor equally well.
                noise = max((estimate.noise_variance + state.noise_variance) / 2.0, self.pilots.floor_variance)
                of_noise = noise / (2.0 * self.tone.window * (plan.alignment * kept) ** 2)
                errors = csi_variance(state.gains[active], sounding.noise_gain_variance, phases[active], kept)
                of_csi = plan.payload_peak**2 * float(errors.sum())  # of payloads at their peak
                if p < count:
                    total[p], variance[p] = value, of_noise + of_csi / 3.0
                    snr_db[p] = 10.0 * math.log10(plan.payload_peak**2 / of_noise) if of_noise > 0.0 else math.inf
                    continue
                level = REFERENCE_LEVEL * plan.payload_peak
                reference = Reference.of(value, of_noise + REFERENCE_LEVEL**2 * of_csi, phases[active], level)
                reason = reference.fault(self.reference_tolerance)
                variance += reference.variance(total)
            gain_db = self._receiver.receive_gain_db
            if not reason and gain_db != sounding.receive_gain_db:
                reason = (
                    f"the receive gain was {sounding.receive_gain_db:g} dB in sounding and is {gain_db:g} dB; hold it"
                )
            if self._held is None:
                self.mute()
            else:
                self._cast.cue({int(k): REST for k in np.flatnonzero(active)})
        if reason:
            if self._held is not None:
                self._held.distrust()
            total[:] = variance[:] = snr_db[:] = np.nan
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db,
            erased=bool(reason),
            reason=reason,
            clipped=np.full(self.devices, -1),
            transmit_power_dbfs=self.mode.peak_dbfs(plan),
        )

    def _slot(self, cue: Cue, active: NDArray[np.bool_], sounding: Sounding) -> tuple[NDArray[np.complex128], int]:
        """All active devices at once, and the instant of the tone at which the window begins.

        Each device turns against its own estimated carrier offset; held tones are weighed and run on.
        """
        length = self.guard_samples + self.tone.window
        if self._held is not None:
            self._cast.cue({int(k): cue for k in np.flatnonzero(active)})
            heard = self._receiver.receive(length)
            return heard, (self._receiver.clock_samples - self.tone.window) % self.tone.window
        elapsed = self._receiver.clock_samples - sounding.reference
        turns = -sounding.state.offset_hz / self._receiver.rate_sps
        self._cast.cue({int(k): replace(cue, turn=float(turns[k]), elapsed=elapsed) for k in np.flatnonzero(active)})
        heard = self._receiver.receive(length)
        self.mute()
        return heard, self.guard_samples

    def _silence(self) -> None:
        """Mute after a failure; held tones do not come back without another sounding."""
        if self._held is not None:
            self._sounded = None
        self.mute()

    def _phase_variance(self, slot_end: int, sounding: Sounding) -> NDArray[np.float64]:
        """(K,) of the phases' errors in the middle of the slot that ended at the clock `slot_end`."""
        middle = slot_end - self.tone.window / 2.0
        return sounding.phase_variance((middle - sounding.reference) / self._receiver.rate_sps)

    def mute(self) -> None:
        """Silence every transmitter, even if one of them fails to obey; then report the first failure."""
        self._cast.mute()

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        if not self._closed:
            self._closed = True
            close_all(self._cast, self._receiver)

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this air is closed; open a new one")

    def __enter__(self) -> CoherentAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
