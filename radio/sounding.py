"""Sounding: everybody off, then every device's tone alone, one after another, in one or more sweeps.

A gain is only worth something if it still holds in the air slot. With one reference clock a device's phase does not move
from one of its pilots to another; if it does, or if the tone is not where it should be, the device is not trusted, and the
fault says by how much it moved. Repeating the sweep (`PilotSettings.repeats` of 2) makes this test cover the time the
round takes and not just a pilot's length. One device whose phase moves is left out (a loose cable); if a third of them move,
those that do not may be there by chance, and nobody is trusted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.air import ChannelState
from radio.cast import Cast
from radio.cue import REST, Cue
from radio.held import HeldTones
from radio.marker import mark
from radio.offset import OffsetEstimate, acquire_offset
from radio.outlier import noise_limit
from radio.pilot import GainEstimate, PilotSettings, estimate_gain, saturated_fraction
from radio.pilot_check import NO_CLOCK, REMEDY, DevicePilots, Movement, PilotJudge
from radio.radio import Radio, clock_epoch
from radio.tone import Tone

AWAY = "not here: it is not connected, or has not measured in time"
LOST_COUNT = "the receiver lost count of its samples, and with it the phase of the tones that were held"


@dataclass(frozen=True)
class Sounding:
    """All that a round's pilots tell.

    Attributes:
        state: the channel, as every mode states it.
        reference: receiver's clock that gains and offsets refer to.
        offset_variance_hz2: (K,) variance of `state.offset_hz`.
        phase_std: (K,) radians rms that the offsets' errors add to the gains' phases, up to `reference`.
        noise_gain_variance: of every gain, by the noise in its pilots alone.
        phase_change_deg: (K,) largest change of phase, against the model, from a part of a device's pilots to another.
        phase_change_standard_error_deg: (K,) what noise makes of it.
        dc: constant at the receiver in the all-off slot, ADC full scale = 1; standard error sqrt(noise / window).
        image_db: (K,) image of the pilot's tone over the tone.
        image_standard_error_db: (K,) of it, to first order.
        image_found: (K,) whether it is more than noise makes; where it is not, `image_db` is an upper bound and no estimate.
        faults: (K,) "" or why a device is not trusted.
        own_residual: largest residual of a trusted device's pilot beyond the idle noise, over its tone's power: what a
            signal adds to the floor by itself (phase noise, distortion).
        idle_fault: "" or why the all-off slot lets nobody be trusted.
        receive_gain_db: of the receiver, before the idle slot.
        clock_moves: a third of the devices' phases or more move: there is no shared clock, and nobody is trusted. A phase
            that starts at random is within 6 degrees of where it was by chance, one time in thirty.
        clock_epoch: of the receiver before the first pilot; see `radio.radio.clock_epoch`.
    """

    state: ChannelState
    reference: int
    offset_variance_hz2: NDArray[np.float64]
    phase_std: NDArray[np.float64]
    noise_gain_variance: float
    phase_change_deg: NDArray[np.float64]
    phase_change_standard_error_deg: NDArray[np.float64]
    dc: complex
    image_db: NDArray[np.float64]
    image_standard_error_db: NDArray[np.float64]
    image_found: NDArray[np.bool_]
    faults: tuple[str, ...]
    own_residual: float
    idle_fault: str
    receive_gain_db: float
    clock_moves: bool
    clock_epoch: int = 0

    def phase_variance(self, seconds: float) -> NDArray[np.float64]:
        """(K,) rad^2, of the phases by the offsets' errors, `seconds` after `reference`."""
        return np.asarray((self.phase_std + 2.0 * np.pi * np.sqrt(self.offset_variance_hz2) * seconds) ** 2)

    @property
    def reason(self) -> str:
        """Why nobody may send, or ""."""
        if self.state.quality.any():
            return ""
        if self.idle_fault:
            return self.idle_fault
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


def sound_pilots(
    cast: Cast,
    receiver: Radio,
    round_index: int,
    tone: Tone,
    settings: PilotSettings,
    *,
    interference: float,
    distortion: float,
    held: HeldTones | None = None,
) -> Sounding:
    """One slot with everybody off, then the sweeps. Depends on no data.

    Args:
        cast: the K devices' transmitters; muted before and after, unless they hold.
        receiver: the radio that listens.
        round_index: for their cues.
        tone: the payload's tone; pilots use its frequency so that a start offset turns both by the same phase.
        settings: see there.
        interference: ratio of residual power to noise beyond which a pilot is not trusted.
        distortion: part of the signal's power that may appear as residual without being called interference.
        held: None: every pilot is a start of its own. Else it is a weight of 1 on a tone that runs.
    """
    receive_gain_db = receiver.receive_gain_db
    if held is not None:
        held.ensure(receiver)
    else:
        cast.mute()
    idle_samples = receiver.receive(tone.window)
    epoch = clock_epoch(receiver)
    mark(receiver, "idle", receiver.clock_samples - tone.window, tone.window)
    idle_fault = ""
    if not np.all(np.isfinite(idle_samples.view(np.float64))):
        idle_fault = "received samples are not finite"
        idle_samples = np.zeros_like(idle_samples)
    idle = tone.project(idle_samples)
    noise_variance = max(idle.noise_variance, settings.floor_variance)
    # Taken off the pilots, whose tone need not fit their length; below 4 standard errors it is noise.
    if abs(idle.amplitude) ** 2 * tone.window > noise_limit(1, tone.noise_bins) * noise_variance:
        # It adds to pilots and payloads with a phase of its own, and neither can tell it from a device.
        above = (
            10.0 * math.log10(abs(idle.amplitude) ** 2 * tone.window / noise_variance) if noise_variance else math.inf
        )
        idle_fault = f"interference: with everybody off a carrier is {above:.1f} dB above the noise in the tone's bin"
    dc = idle.dc if abs(idle.dc) ** 2 > 16.0 * noise_variance / tone.window else 0j
    captures = _sweep(cast, receiver, round_index, tone, settings, held is not None)
    if receiver.receive_gain_db != receive_gain_db:
        idle_fault = idle_fault or "the receive gain moved while sounding; switch automatic gain control off"
    if held is not None and clock_epoch(receiver) != epoch:
        idle_fault = idle_fault or LOST_COUNT
    reference = receiver.clock_samples
    judge = PilotJudge(settings, tone, idle, noise_variance, interference, distortion, receiver.rate_sps)
    devices, present = cast.devices, cast.present
    estimates: list[GainEstimate] = []
    faults: list[str] = []
    change, change_error = np.zeros(devices), np.zeros(devices)
    images: list[tuple[float, float, bool]] = []
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
        images.append(_image(pilots[0], tones[0], noise_variance, noise_limit(1, tone.noise_bins)))
        fault = ""
        if not present[k]:
            fault = AWAY
        elif not finite:
            fault = "received samples are not finite"
        elif captures.saturated[k]:
            fault = "ADC saturated in its pilot; lower receive_gain_db"
        elif acquired is not None and not acquired.trusted:
            fault = f"its pilot was not found within +-{settings.offset_range_hz:g} Hz"
        else:
            heard = DevicePilots(aligned, starts, tones[0], estimate)
            moved = Movement.of(heard, reference, receiver.rate_sps, noise_variance)
            change[k], change_error[k] = math.degrees(moved.change), math.degrees(moved.standard_error)
            fault = judge.fault(heard, moved)
        faults.append(fault)
    moving = sum(fault.startswith(NO_CLOCK) for fault in faults)
    clock_moves = moving >= max(1.0, devices / 3.0)
    if clock_moves:
        faults = [fault or f"{NO_CLOCK}: {moving} of {devices} devices' phases move; {REMEDY}" for fault in faults]
    if idle_fault:
        faults = [fault or idle_fault for fault in faults]
    excess = [
        max(0.0, e.residual_power - noise_variance) / abs(e.gain) ** 2
        for e, fault in zip(estimates, faults, strict=True)
        if not fault
    ]
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
        offset_variance_hz2=np.array([e.offset_variance for e in estimates]),
        phase_std=np.sqrt([e.phase_variance for e in estimates]),
        noise_gain_variance=noise_variance / (settings.window * settings.repeats),
        phase_change_deg=change,
        phase_change_standard_error_deg=change_error,
        dc=idle.dc,
        image_db=np.array([image[0] for image in images]),
        image_standard_error_db=np.array([image[1] for image in images]),
        image_found=np.array([image[2] for image in images]),
        faults=tuple(faults),
        own_residual=max(excess, default=0.0),
        idle_fault=idle_fault,
        receive_gain_db=receive_gain_db,
        clock_moves=clock_moves,
        clock_epoch=epoch,
    )


def _sweep(cast: Cast, receiver: Radio, round_index: int, tone: Tone, settings: PilotSettings, held: bool) -> _Captures:
    devices, guard = cast.devices, settings.guard_samples
    length = guard + settings.window
    wave = tone.samples(length)
    burst = wave[guard:]
    pilots = np.empty((devices, settings.repeats, settings.window), dtype=np.complex128)
    starts = np.empty((devices, settings.repeats), dtype=np.int64)
    tones: list[list[NDArray[np.complex128]]] = [[] for _ in range(devices)]
    saturated = np.zeros(devices, dtype=bool)
    before: dict[int, Cue] = {}  # whose pilot is over falls silent as the next one begins
    for sweep in range(settings.repeats):
        for k in range(devices):
            cast.cue(before | {k: Cue("pilot", round_index)})
            before = {k: REST}
            heard = receiver.receive(length)
            begin = receiver.clock_samples - settings.window
            tones[k].append(tone.samples(settings.window, int(begin) % tone.window) if held else burst)
            starts[k, sweep] = begin
            mark(
                receiver, "pilot", int(begin) - guard, length,
                device=k, sweep=sweep, guard_samples=guard, cycles_per_sample=tone.cycles_per_sample,
                tone_start=int(begin) % tone.window if held else guard,
            )  # fmt: skip
            saturated[k] |= saturated_fraction(heard) > settings.max_saturated
            pilots[k, sweep] = heard[guard:]
    cast.cue(before)
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


def _image(
    pilot: NDArray[np.complex128], tone: NDArray[np.complex128], noise_variance: float, limit: float
) -> tuple[float, float, bool]:
    """Power of the image (the tone's conjugate) over the tone's in dB, its standard error, and whether it is there.

    Least squares for both amplitudes: a pilot need not be a whole number of the tone's periods.
    """
    n = tone.size
    direct, mirrored, overlap = np.vdot(tone, pilot) / n, (pilot @ tone) / n, (tone @ tone) / n
    image = abs(mirrored - overlap * direct) / (1.0 - abs(overlap) ** 2)
    amplitude = abs(direct - overlap.conjugate() * mirrored) / (1.0 - abs(overlap) ** 2)
    if not (math.isfinite(image) and amplitude > 0.0 and image > 0.0):
        return -math.inf, math.inf, False
    each = noise_variance / (2.0 * n)
    error = 20.0 / math.log(10.0) * math.sqrt(each / image**2 + each / amplitude**2)
    return 20.0 * math.log10(image / amplitude), error, bool(image**2 * n > limit * noise_variance)
