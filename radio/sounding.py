"""Sounding: everybody off, then every device's tone alone, one after another, in one or more sweeps.

A gain is only worth something if it still holds in the air slot. With one reference clock a device's phase does not move
from one of its pilots to another; if it does, or if the tone is not where it should be, the device is not trusted, and the
fault says by how much it moved. Repeating the sweep (`PilotSettings.repeats` of 2) makes this test cover the time the
round takes and not just a pilot's length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.air import ChannelState
from radio.errors import InputError
from radio.marker import mark
from radio.offset import OffsetEstimate, acquire_offset
from radio.outlier import FALSE_ALARM, gain_dropped
from radio.pilot import GainEstimate, PilotSettings, estimate_gain, saturated_fraction
from radio.radio import Radio, WeighableRadio
from radio.tone import Tone, ToneEstimate, phasor

_BLOCKS = 8  # of a pilot, whose phases are compared
_LEAST_MARGIN = math.log(1e4)
NO_CLOCK = "no shared clock"
_REMEDY = "feed all radios from one reference clock and hold their starts, or use energy mode"


@dataclass(frozen=True)
class Sounding:
    """All that a round's pilots tell.

    Attributes:
        state: the channel, as every mode states it.
        reference: receiver's clock that gains and offsets refer to.
        noise_standard_error: of `state.noise_variance`.
        offset_variance_hz2: (K,) variance of `state.offset_hz`.
        phase_change_deg: (K,) largest change of phase, against the model, from a part of a device's pilots to another.
        phase_change_standard_error_deg: (K,) what noise makes of it.
        dc: constant at the receiver in the all-off slot, ADC full scale = 1; standard error sqrt(noise / window).
        image_db: (K,) image of the pilot's tone over the tone; below about -10 log10(window SNR) it is noise.
        faults: (K,) "" or why a device is not trusted.
        clock_moves: more than half of the devices' phases move: there is no shared clock, and none is trusted.
    """

    state: ChannelState
    reference: int
    noise_standard_error: float
    offset_variance_hz2: NDArray[np.float64]
    phase_change_deg: NDArray[np.float64]
    phase_change_standard_error_deg: NDArray[np.float64]
    dc: complex
    image_db: NDArray[np.float64]
    faults: tuple[str, ...]
    clock_moves: bool

    @property
    def reason(self) -> str:
        """Why nobody may send, or ""."""
        if self.state.quality.any():
            return ""
        first = next((k for k, fault in enumerate(self.faults) if fault), None)
        if self.clock_moves:
            first = next(k for k, fault in enumerate(self.faults) if fault.startswith(NO_CLOCK))
        return "no device can be trusted" if first is None else f"device {first}: {self.faults[first]}"


@dataclass(frozen=True)
class _Captures:
    """(K, R, N) pilots, (K, R) clocks of their first samples, (K, R) what was sent as it would arrive undelayed."""

    pilots: NDArray[np.complex128]
    starts: NDArray[np.int64]
    tones: list[list[NDArray[np.complex128]]]
    saturated: NDArray[np.bool_]


def hold(radio: Radio) -> WeighableRadio:
    """The radio as one whose cyclic transmission can be scaled, or InputError."""
    if not isinstance(radio, WeighableRadio):
        raise InputError(
            "hold is set, but a radio cannot scale a running transmission (`weigh`); unset hold and trigger every start"
        )
    return radio


def sound_pilots(
    transmitters: Sequence[Radio],
    receiver: Radio,
    tone: Tone,
    settings: PilotSettings,
    *,
    interference: float,
    distortion: float,
    hold_samples: int | None = None,
) -> Sounding:
    """One slot with everybody off, then the sweeps. Depends on no data.

    Args:
        transmitters: the K devices' radios, muted before; muted after, too, unless they hold.
        receiver: the radio that listens.
        tone: the payload's tone; pilots use its frequency so that a start offset turns both by the same phase.
        settings: see there.
        interference: ratio of residual power to noise beyond which a pilot is not trusted.
        distortion: part of the signal's power that may appear as residual without being called interference.
        hold_samples: None: every pilot is a start of its own. Else all devices begin to send the tone cyclically, are
            weighed to nothing, and after this many samples every pilot is a weight of 1 on it.
    """
    for radio in transmitters:
        radio.mute()
    guard = settings.guard_samples
    if hold_samples is not None:
        for radio in transmitters:
            radio.transmit(tone.samples(tone.window), cyclic=True)
            hold(radio).weigh(0.0)
        if hold_samples + guard > 0:
            receiver.receive(hold_samples + guard)
    idle_samples = receiver.receive(tone.window)
    mark(receiver, "idle", receiver.clock_samples - tone.window, tone.window)
    idle = tone.project(idle_samples)
    noise_variance = max(idle.noise_variance, settings.floor_variance)
    # Taken off the pilots, whose tone need not fit their length; below 4 standard errors it is noise.
    dc = idle.dc if abs(idle.dc) ** 2 > 16.0 * noise_variance / tone.window else 0j
    captures = _sweep(transmitters, receiver, tone, settings, hold_samples is not None)
    reference = receiver.clock_samples
    judge = _Judge(settings, tone, idle, noise_variance, interference, distortion, receiver.rate_sps)
    devices = len(transmitters)
    estimates: list[GainEstimate] = []
    faults: list[str] = []
    change, change_error, images = np.zeros(devices), np.zeros(devices), np.full(devices, -np.inf)
    for k in range(devices):
        pilots = captures.pilots[k] if dc == 0.0 else captures.pilots[k] - dc
        starts = [int(s) for s in captures.starts[k]]
        tones = captures.tones[k]
        acquired = None
        finite = bool(np.all(np.isfinite(pilots.view(np.float64))))
        if settings.offset_range_hz > 0.0 and finite:
            acquired = acquire_offset(
                pilots[0],
                tones[0],
                rate_sps=receiver.rate_sps,
                noise_variance=noise_variance,
                range_hz=settings.offset_range_hz,
            )
        aligned = pilots if len(tones) == 1 else _onto_first(pilots, tones)
        estimate = estimate_gain(
            aligned,
            starts,
            tones[0],
            rate_sps=receiver.rate_sps,
            noise_variance=noise_variance,
            offset_prior_hz=settings.offset_prior_hz if acquired is None else _prior(acquired, settings),
            offset_mean_hz=0.0 if acquired is None else acquired.offset_hz,
            reference=reference,
        )
        estimates.append(estimate)
        images[k] = _image_db(pilots[0], tones[0], estimate)
        fault = ""
        if not finite:
            fault = "received samples are not finite"
        elif captures.saturated[k]:
            fault = "ADC saturated in its pilot; lower receive_gain_db"
        elif acquired is not None and not acquired.trusted:
            fault = f"its pilot was not found within +-{settings.offset_range_hz:g} Hz"
        else:
            moved = _Movement.of(aligned, starts, tones[0], estimate, reference, receiver.rate_sps, noise_variance)
            change[k], change_error[k] = math.degrees(moved.change), math.degrees(moved.standard_error)
            fault = judge.fault(aligned, starts, tones[0], estimate, moved)
        faults.append(fault)
    moving = sum(fault.startswith(NO_CLOCK) for fault in faults)
    clock_moves = moving > devices / 2
    if clock_moves:
        faults = [fault or f"{NO_CLOCK}: {moving} of {devices} devices' phases move; {_REMEDY}" for fault in faults]
    state = ChannelState(
        gains=np.array([e.gain for e in estimates], dtype=np.complex128),
        gain_variance=np.array([e.variance for e in estimates]),
        offset_hz=np.array([e.offset_hz for e in estimates]),
        noise_variance=noise_variance,
        quality=np.array([not fault for fault in faults]),
    )
    return Sounding(
        state=state,
        reference=reference,
        noise_standard_error=noise_variance / (math.log(2.0) * math.sqrt(tone.noise_bins)),
        offset_variance_hz2=np.array([e.offset_variance for e in estimates]),
        phase_change_deg=change,
        phase_change_standard_error_deg=change_error,
        dc=idle.dc,
        image_db=images,
        faults=tuple(faults),
        clock_moves=clock_moves,
    )


def _sweep(
    transmitters: Sequence[Radio], receiver: Radio, tone: Tone, settings: PilotSettings, held: bool
) -> _Captures:
    devices, guard = len(transmitters), settings.guard_samples
    length = guard + settings.window
    wave = tone.samples(length)
    burst = wave[guard:]
    pilots = np.empty((devices, settings.repeats, settings.window), dtype=np.complex128)
    starts = np.empty((devices, settings.repeats), dtype=np.int64)
    tones: list[list[NDArray[np.complex128]]] = [[] for _ in range(devices)]
    saturated = np.zeros(devices, dtype=bool)
    for sweep in range(settings.repeats):
        for k, radio in enumerate(transmitters):
            begin = starts[k, sweep] = receiver.clock_samples + guard
            if held:
                hold(radio).weigh(1.0)
                heard = receiver.receive(length)
                hold(radio).weigh(0.0)
                tones[k].append(tone.samples(settings.window, int(begin) % tone.window))
            else:
                radio.transmit(wave, cyclic=False)
                heard = receiver.receive(length)
                radio.mute()
                tones[k].append(burst)
            mark(
                receiver, "pilot", int(begin) - guard, length,
                device=k, sweep=sweep, guard_samples=guard, cycles_per_sample=tone.cycles_per_sample,
                tone_start=int(begin) % tone.window if held else guard,
            )  # fmt: skip
            saturated[k] |= saturated_fraction(heard) > settings.max_saturated
            pilots[k, sweep] = heard[guard:]
    return _Captures(pilots, starts, tones, saturated)


def _onto_first(pilots: NDArray[np.complex128], tones: Sequence[NDArray[np.complex128]]) -> NDArray[np.complex128]:
    """Pilots of one device turned so that each arrived with the first one's tone."""
    if all(tone is tones[0] for tone in tones):
        return pilots
    # One tone at different instants: they differ by a phase.
    return np.stack([pilot * complex(tones[0][0] / tone[0]) for pilot, tone in zip(pilots, tones, strict=True)])


def _prior(acquired: OffsetEstimate, settings: PilotSettings) -> float:
    """Standard deviation left to the second stage: three times the bound, for the threshold region."""
    least = settings.offset_prior_hz * 1e-3
    return max(3.0 * acquired.standard_error_hz, least)


def _image_db(pilot: NDArray[np.complex128], tone: NDArray[np.complex128], estimate: GainEstimate) -> float:
    amplitude = abs(np.vdot(tone, pilot))
    image = abs(pilot @ tone)
    return 20.0 * math.log10(image / amplitude) if amplitude > 0.0 and image > 0.0 else -math.inf


@dataclass(frozen=True)
class _Movement:
    """How far a device's phase moves from part to part of its pilots, against the model.

    `change` is the largest difference between the pilots' phases, or between the halves of a single one; `excess` the mean
    square of the blocks' deviation from the model less what noise makes of it, relative to |h|^2 (rad^2 while small);
    `significant` that noise does not explain one of them.
    """

    change: float
    standard_error: float
    seconds: float
    excess: float
    significant: bool

    @classmethod
    def of(
        cls,
        pilots: NDArray[np.complex128],
        starts: Sequence[int],
        tone: NDArray[np.complex128],
        estimate: GainEstimate,
        reference: int,
        rate_sps: float,
        noise_variance: float,
    ) -> _Movement:
        repeats, window = pilots.shape
        edges = np.arange(0, window, -(-window // _BLOCKS))
        lengths = np.diff(np.append(edges, window)).astype(np.float64)
        model = pilots * tone.conj()
        if estimate.offset_hz != 0.0:
            model = model * np.stack(
                [phasor(-estimate.offset_hz / rate_sps, window, start - reference) for start in starts]
            )
        blocks = np.asarray(np.add.reduceat(model, edges, axis=1) / lengths, dtype=np.complex128)  # (R, B) gains
        power = max(abs(estimate.gain) ** 2, 1e-300)
        noise = max(noise_variance, 1e-300)
        statistic = float((np.abs(blocks - estimate.gain) ** 2 * lengths).sum())
        # An upper bound of the gamma quantile of `count` degrees (Laurent & Massart 2000), whatever the model fitted.
        count, tail = blocks.size, -math.log(FALSE_ALARM)
        limit = count + 2.0 * math.sqrt(count * tail) + tail
        change, seconds, share = _turn_between(blocks, lengths, starts, rate_sps)
        error = math.sqrt(noise / (share * power))
        return cls(
            change=change,
            standard_error=error,
            seconds=seconds,
            excess=max(0.0, (statistic - count * noise) / (repeats * window * power), change**2 / 12.0),
            significant=statistic > limit * noise or abs(change) > 5.0 * error,
        )


def _turn_between(
    blocks: NDArray[np.complex128], lengths: NDArray[np.float64], starts: Sequence[int], rate_sps: float
) -> tuple[float, float, float]:
    """Radians from the first pilot to the one farthest from it in phase (or between halves), seconds, samples of a part."""
    if len(starts) > 1:
        means = blocks @ lengths
        angles = np.angle(means * means[0].conjugate())
        last = int(np.argmax(np.abs(angles)))
        return float(angles[last]), (starts[last] - starts[0]) / rate_sps, float(lengths.sum())
    half = lengths.size // 2
    early, late = blocks[0, :half] @ lengths[:half], blocks[0, half:] @ lengths[half:]
    part = float(lengths.sum()) / 2.0
    return float(np.angle(late * early.conjugate())), part / rate_sps, part


@dataclass(frozen=True)
class _Judge:
    """What a device's pilots must satisfy."""

    settings: PilotSettings
    tone: Tone
    idle: ToneEstimate
    noise_variance: float
    interference: float
    distortion: float
    rate_sps: float

    def fault(
        self,
        pilots: NDArray[np.complex128],
        starts: Sequence[int],
        tone: NDArray[np.complex128],
        estimate: GainEstimate,
        moved: _Movement,
    ) -> str:
        """Why an estimate is not to be trusted, or ""."""
        settings = self.settings
        power = abs(estimate.gain) ** 2
        moves = moved.significant and moved.excess > math.radians(settings.max_phase_change_deg) ** 2 / 12.0
        disturbed = estimate.residual_power > self.interference * self.noise_variance + self.distortion * power
        weak = not power >= 10.0 ** (settings.min_snr_db / 10.0) * estimate.variance
        if moves or disturbed or weak:
            elsewhere = self._elsewhere(pilots, starts, tone, estimate, moved, moves)
            if elsewhere:
                return elsewhere
        if disturbed:
            above = 10.0 * math.log10(estimate.residual_power / max(self.noise_variance, 1e-300))
            return f"interference in its pilot: residual {above:.1f} dB above the idle slot's noise"
        if moves:
            return "interference in its pilot: it is not steady"
        if weak:
            ratio = 10.0 * math.log10(max(power, 1e-300) / max(estimate.variance, 1e-300))
            return f"its pilot has {ratio:.1f} dB, {settings.min_snr_db:g} dB are needed; lengthen the pilots"
        if gain_dropped(self.idle.noise_variance, estimate.residual_power, self.tone.noise_bins):
            return "the noise fell while it sent: the receive gain moved; switch automatic gain control off"
        if settings.offset_range_hz > 0.0 and estimate.margin < _LEAST_MARGIN:
            return "its carrier offset is ambiguous; lengthen the pilots, or use fewer devices a sweep"
        return ""

    def _elsewhere(
        self,
        pilots: NDArray[np.complex128],
        starts: Sequence[int],
        tone: NDArray[np.complex128],
        estimate: GainEstimate,
        moved: _Movement,
        moves: bool,
    ) -> str:
        """The fault of a pilot that is all there, but not at the frequency or phase it should have; else ""."""
        reach = max(self.settings.offset_range_hz, self.rate_sps / 8.0)
        found = acquire_offset(
            pilots[0], tone, rate_sps=self.rate_sps, noise_variance=self.noise_variance, range_hz=reach
        )
        heard = abs(estimate.gain) ** 2 + estimate.residual_power - self.noise_variance
        whole = 10.0 ** (found.snr_db / 10.0) * self.noise_variance / tone.size >= 0.5 * heard
        strong = found.trusted and found.snr_db >= self.settings.min_snr_db
        off = found.offset_hz - estimate.offset_hz
        away = abs(off) > 5.0 * found.standard_error_hz + self.rate_sps / (4.0 * tone.size)
        if not (strong and whole and (moves or away)):
            return ""
        change, seconds = moved.change, moved.seconds
        if away and len(starts) > 1:  # its phase at each pilot's start, by the offset it has
            turned = pilots * tone.conj() * phasor(-found.offset_hz / self.rate_sps, tone.size)
            change, seconds, _ = _turn_between(
                np.asarray(turned.sum(axis=1)[:, None] / tone.size, dtype=np.complex128),
                np.array([float(tone.size)]),
                starts,
                self.rate_sps,
            )
        elif away:
            change = math.remainder(2.0 * math.pi * off * seconds, 2.0 * math.pi)
        carrier = f"; its carrier is {found.offset_hz:+.0f} Hz off" if away else ""
        return (
            f"{NO_CLOCK}: its phase moved by {math.degrees(change):+.0f} degrees (and whole turns) in {1e3 * seconds:.3g} ms "
            f"between {'pilots' if len(starts) > 1 else 'the halves of its pilot'}{carrier}; {_REMEDY}"
        )
