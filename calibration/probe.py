"""A tone sent by one device, and all that its capture says: level, carrier, leak, images, noise, and what is wrong with it.

The device sends a tone at f and its carrier is D above the receiver's. What arrives, and where:

    f + D      the tone                             0          the receiver's DC offset
    D          the carrier that the device leaks    -(f + D)   the receiver's image of the tone
    -f + D     the device's own image of the tone

f is so far up that no D within the crystals' tolerance brings two of them together, but for D = 0 itself, where leak and DC
offset fall together, and both images: with one reference for all radios only their sums are seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.finding import Estimate, Finding, Verdict
from calibration.lines import MERGED_BINS, Lines, fit_lines, frequency_bound, noise_near, refine, strongest
from calibration.rig import Rig
from radio.converter import Converter
from radio.pilot import saturated_fraction
from radio.tone import phasor, tone_bin

TONE_OVER_OFFSET = 2.2  # f over the largest D: then D is never -f / 2 either, where leak and receiver's image meet
HIGHEST = 0.3  # of the rate
MOST_SATURATED = 1e-3  # of the samples
MOST_EXCESS = (
    2.0  # of the idle channel's power that a tone leaves, beyond its own phase noise: else something else sends
)
PHASE_NOISE = 1e-3  # of a tone's power: more than any synthesiser's
ATTEMPTS = 3  # at a capture in which something is wrong that may be gone the next time
WIDER = (
    1.1  # than white noise alone: lines of higher order, quantisation that is not white, a floor known by an estimate
)
NEEDS_DB = 14.0  # over its standard error, for a level that is stated in dB with a symmetric interval
QUANTISATION = Converter(12).noise_variance

PROBLEMS = {
    "lost": "samples were lost at every attempt: a slower rate, another USB port, or fewer programs on this computer",
    "silent": "check its antenna or cable, transmit_gain_db, and that it is tuned to the same frequency; raise receive_gain_db",
    "saturated": "lower receive_gain_db of the station, or this device's transmit_gain_db, or put an attenuator between",
    "interference": "something else is on the air: choose another frequency (step environment), or look for its source",
}


@dataclass(frozen=True)
class Probe:
    """A tone of `cycles` a sample; its wave is one period of `window` samples, and a capture is as long."""

    window: int
    cycles: float

    def wave(self, amplitude: float = 1.0) -> NDArray[np.complex128]:
        return amplitude * phasor(self.cycles, self.window)


def probe_for(rig: Rig, window: int = 8192) -> Probe:
    """Off every collision of the module, on a bin coprime with `window`, so that the DAC's error is spread."""
    wanted = min(HIGHEST, TONE_OVER_OFFSET * rig.offset_max_hz / rig.rate_sps) * window
    index = max(tone_bin(window), round(wanted))
    while math.gcd(index, window) > 1:
        index += 1
    return Probe(window, index / window)


@dataclass(frozen=True)
class Floor:
    """The idle channel: `noise_variance` per complex sample without the DC offset `dc`; `line_hz` of something that sends,
    from the carrier, and its level."""

    noise_variance: float
    dc: complex
    dc_error: float
    line_hz: float | None
    line_dbfs: float
    problem: str


def floor_of(rig: Rig, n: int = 8192) -> Floor:
    """Listen while nobody sends."""
    samples = _attempt(lambda: rig.idle(n))
    if samples is None:
        return Floor(math.nan, 0j, math.inf, None, -math.inf, "lost")
    fitted = fit_lines(samples, [0.0])
    noise, dc = fitted.noise_variance, complex(fitted.amplitudes[0])
    rest = samples - dc
    power = np.abs(np.fft.fft(rest)) ** 2 / n
    usual = max(float(np.median(power)) / math.log(2.0), QUANTISATION)
    top = int(np.argmax(power))
    problem, line, level = "", None, -math.inf
    if power[top] > (math.log(n * 1e4) + 3.0) * usual:
        cycles = refine(rest, float(np.fft.fftfreq(n)[top]))
        problem, line = "interference", cycles * rig.rate_sps
        level = 20.0 * math.log10(abs(fit_lines(rest, [cycles]).amplitudes[0]))
    if saturated_fraction(samples) > MOST_SATURATED:
        problem = "saturated"
    return Floor(max(noise, QUANTISATION), dc, WIDER * float(fitted.standard_errors[0]), line, level, problem)


@dataclass(frozen=True)
class Reading:
    """What one capture of a device's tone says.

    Attributes:
        problem: "" or one of `PROBLEMS`; "lost", "silent" and "saturated" leave nothing to be used.
        amplitude: of the tone, complex, at the middle of the capture; ADC full scale is 1.
        standard_error: of each real dimension of it.
        phase_error: standard error of the amplitude's phase, rad; phase noise counts, where it is, next to the tone.
        offset_hz, offset_error_hz: the tone's frequency less what was sent: D, and the sampling clock's share.
        noise_variance: of what no line explains.
        peak: largest rail.
        apart: D was far enough from 0 for the lines below to be told apart; else `leak` is 0 and `dc` the sum of both,
            `transmit_image` is 0 and `receive_image` the sum of both.
        dc, leak, receive_image, transmit_image: complex amplitudes.
        errors: of each real dimension of those four.
        samples: of the capture.
    """

    problem: str
    amplitude: complex = 0j
    standard_error: float = math.inf
    phase_error: float = math.inf
    offset_hz: float = math.nan
    offset_error_hz: float = math.inf
    noise_variance: float = math.nan
    peak: float = math.nan
    apart: bool = False
    dc: complex = 0j
    leak: complex = 0j
    receive_image: complex = 0j
    transmit_image: complex = 0j
    errors: tuple[float, float, float, float] = (math.inf,) * 4
    samples: int = 0

    @property
    def usable(self) -> bool:
        return self.problem in ("", "interference")

    @property
    def level(self) -> float:
        """Magnitude of the tone without the noise's share in it."""
        return math.sqrt(max(abs(self.amplitude) ** 2 - 2.0 * self.standard_error**2, self.standard_error**2))


def read(
    samples: NDArray[np.complex128], probe: Probe, *, rate_sps: float, lo_hz: float, noise_variance: float,
    offset_max_hz: float, offset_hz: float = 0.0,
) -> Reading:  # fmt: skip
    """See `Reading`: maximum likelihood for the tone and its offset, least squares for what comes with it.

    Args:
        samples: (N,) capture, guard removed.
        probe: what was sent.
        rate_sps, lo_hz: of the receiver.
        noise_variance: of the idle channel, per complex sample.
        offset_max_hz: half the width of the search, about `offset_hz`.
        offset_hz: where the tone is expected, from `probe`.
    """
    if not np.isfinite(samples).all():
        return Reading("lost")
    peak = float(np.abs(samples.view(np.float64)).max())
    if saturated_fraction(samples) > MOST_SATURATED:
        return Reading("saturated", peak=peak)
    n = samples.size
    near = probe.cycles + offset_hz / rate_sps
    cycles = strongest(samples - samples.mean(), noise_variance, near, offset_max_hz / rate_sps)
    if cycles is None:
        return Reading("silent", peak=peak)
    cycles = refine(samples - samples.mean(), cycles)
    for _ in range(2):
        fitted, places = _company(samples, cycles, probe, lo_hz, rate_sps)
        others = sum(fitted.amplitudes[i] * phasor(fitted.cycles[i], n, -(n - 1) / 2.0) for i in range(1, len(places)))
        cycles = refine(samples - others, cycles)
    fitted, places = _company(samples, cycles, probe, lo_hz, rate_sps)
    found = dict(zip(places, zip(fitted.amplitudes, fitted.standard_errors, strict=True), strict=True))
    nothing = (0j, math.inf)
    (dc, e0), (leak, e1), (receive, e2), (transmit, e3) = (
        found.get(name, nothing) for name in ("dc", "leak", "receive_image", "transmit_image")
    )
    amplitude = complex(fitted.amplitudes[0])
    # White noise half shakes and half turns a tone; phase noise only turns it, so that of w + p next to it, w + 2 p turn it.
    white = fitted.noise_variance
    turning = max(white, 2.0 * noise_near(samples, fitted, cycles) - white)
    excess = fitted.noise_variance - MOST_EXCESS * noise_variance - PHASE_NOISE * abs(amplitude) ** 2
    return Reading(
        problem="interference" if excess > 0.0 else "",
        amplitude=amplitude,
        standard_error=WIDER * float(fitted.standard_errors[0]),
        phase_error=WIDER * math.sqrt(turning / (2.0 * n)) / abs(amplitude),
        offset_hz=(cycles - probe.cycles) * rate_sps,
        offset_error_hz=WIDER * frequency_bound(turning, abs(amplitude), n) * rate_sps,
        noise_variance=fitted.noise_variance,
        peak=peak,
        apart="leak" in found,
        dc=complex(dc),
        leak=complex(leak),
        receive_image=complex(receive),
        transmit_image=complex(transmit),
        errors=(WIDER * float(e0), WIDER * float(e1), WIDER * float(e2), WIDER * float(e3)),
        samples=n,
    )


def _company(
    samples: NDArray[np.complex128], cycles: float, probe: Probe, lo_hz: float, rate_sps: float
) -> tuple[Lines, list[str]]:
    """The tone at `cycles` with the lines that come with it, those at one place as one."""
    # The oscillator that moves the carrier moves the sampling clock as well, and with it the tone.
    carrier = (cycles - probe.cycles) * lo_hz / (lo_hz + probe.cycles * rate_sps)
    names, places = ["tone", "dc", "receive_image"], [cycles, 0.0, -cycles]
    if abs(carrier) * samples.size > MERGED_BINS:
        names += ["leak", "transmit_image"]
        places += [carrier, 2.0 * carrier - cycles]
    return fit_lines(samples, places), names


def listen(
    rig: Rig, device: int, probe: Probe, floor: Floor, amplitude: float = 1.0, *,
    offset_hz: float = 0.0, offset_max_hz: float | None = None,
) -> Reading:  # fmt: skip
    """One device sends, once; a capture with lost samples or with something else on the air is taken again."""
    reading = Reading("lost")
    for _ in range(ATTEMPTS):
        samples = rig.hear({device: probe.wave(amplitude)}, probe.window, cycles_per_sample=probe.cycles)
        reading = read(
            samples,
            probe,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            noise_variance=floor.noise_variance,
            offset_max_hz=rig.offset_max_hz if offset_max_hz is None else offset_max_hz,
            offset_hz=offset_hz,
        )
        if reading.usable and _foreign(reading, probe, floor, rig.rate_sps):
            return Reading("silent", peak=reading.peak)
        if reading.problem not in ("lost", "interference"):
            break
    return reading


def _foreign(reading: Reading, probe: Probe, floor: Floor, rate_sps: float) -> bool:
    """Whether the tone that was found is a line that was there before, no weaker: the device itself is not heard."""
    if floor.line_hz is None:
        return False
    same = abs(probe.cycles * rate_sps + reading.offset_hz - floor.line_hz) < 2.0 * rate_sps / probe.window
    return same and 20.0 * math.log10(reading.level) < floor.line_dbfs + 3.0


def trouble(step: str, subject: str, problem: str) -> Finding:
    """The finding that a problem is, with what to do."""
    verdict: Verdict = "warn" if problem == "interference" else "fail"
    words = {"silent": "not heard", "saturated": "the receiver is saturated", "lost": "samples lost"}
    return Finding(step, subject, words.get(problem, problem), verdict=verdict, advice=PROBLEMS[problem])


def floor_findings(step: str, floor: Floor) -> list[Finding]:
    """What is wrong with the idle channel."""
    if floor.problem != "interference" or floor.line_hz is None:
        return [trouble(step, "receiver", floor.problem)] if floor.problem else []
    where = f"interference at {floor.line_hz / 1e3:+.1f} kHz from the carrier"
    level = Estimate(floor.line_dbfs, math.inf, "dBFS")
    return [Finding(step, "receiver", where, level, verdict="warn", advice=PROBLEMS["interference"])]


def in_db(level: float, standard_error: float, unit: str = "dB") -> Estimate | None:
    """20 log10 of a magnitude whose squared bias by noise is taken off; None below `NEEDS_DB` over its error."""
    squared = level**2 - standard_error**2
    if not squared > 10.0 ** (NEEDS_DB / 10.0) * standard_error**2:
        return None
    magnitude = math.sqrt(squared)
    return Estimate(20.0 * math.log10(magnitude), 20.0 / math.log(10.0) * standard_error / magnitude, unit)


def bound_db(level: float, standard_error: float) -> float:
    """What a magnitude of which only an estimate with that error is known lies below, in 97.5 of 100 cases."""
    return 20.0 * math.log10(max(level + 1.96 * standard_error, 1e-10))


def _attempt(action: Callable[[], NDArray[np.complex128]]) -> NDArray[np.complex128] | None:
    for _ in range(ATTEMPTS):
        samples = action()
        if np.isfinite(samples).all():
            return samples
    return None
