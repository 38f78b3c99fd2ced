"""Whether a device's pilots can be trusted: is its phase where the model says, from part to part and pilot to pilot?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.offset import acquire_offset
from radio.outlier import FALSE_ALARM, gain_dropped
from radio.pilot import GainEstimate, PilotSettings
from radio.tone import Tone, ToneEstimate, phasor

_BLOCKS = 8  # of a pilot, whose phases are compared
_LEAST_MARGIN = math.log(1e4)
NO_CLOCK = "no shared clock"
REMEDY = "feed all radios from one reference clock and hold their starts, or use energy mode"


@dataclass(frozen=True)
class DevicePilots:
    """One device's: (R, N) samples, clocks of their first ones, (N,) the tone as it would have arrived undelayed, and what
    was estimated from them."""

    samples: NDArray[np.complex128]
    starts: Sequence[int]
    tone: NDArray[np.complex128]
    estimate: GainEstimate


@dataclass(frozen=True)
class Movement:
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
    def of(cls, pilots: DevicePilots, reference: int, rate_sps: float, noise_variance: float) -> Movement:
        starts, estimate = pilots.starts, pilots.estimate
        repeats, window = pilots.samples.shape
        edges = np.arange(0, window, -(-window // _BLOCKS))
        lengths = np.diff(np.append(edges, window)).astype(np.float64)
        model = pilots.samples * pilots.tone.conj()
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
class PilotJudge:
    """What a device's pilots must satisfy."""

    settings: PilotSettings
    tone: Tone
    idle: ToneEstimate
    noise_variance: float
    interference: float
    distortion: float
    rate_sps: float

    def fault(self, pilots: DevicePilots, moved: Movement) -> str:
        """Why an estimate is not to be trusted, or ""."""
        settings, estimate = self.settings, pilots.estimate
        power = abs(estimate.gain) ** 2
        moves = moved.significant and moved.excess > math.radians(settings.max_phase_change_deg) ** 2 / 12.0
        disturbed = estimate.residual_power > self.interference * self.noise_variance + self.distortion * power
        weak = not power >= 10.0 ** (settings.min_snr_db / 10.0) * estimate.variance
        if moves or disturbed or weak:
            elsewhere = self._elsewhere(pilots, moved, moves)
            if elsewhere:
                return elsewhere
        if disturbed:
            above = 10.0 * math.log10(estimate.residual_power / max(self.noise_variance, 1e-300))
            return (
                f"interference in its pilot, or a gain that moves: residual {above:.1f} dB above the idle slot's noise"
            )
        if moves:
            return "its pilot is not steady: interference, or a gain that moves (switch automatic gain control off)"
        if weak:
            ratio = 10.0 * math.log10(max(power, 1e-300) / max(estimate.variance, 1e-300))
            return f"its pilot has {ratio:.1f} dB, {settings.min_snr_db:g} dB are needed; lengthen the pilots"
        if gain_dropped(self.idle.noise_variance, estimate.residual_power, self.tone.noise_bins):
            return "the noise fell while it sent: the receive gain moved; switch automatic gain control off"
        if settings.offset_range_hz > 0.0 and estimate.margin < _LEAST_MARGIN:
            return "its carrier offset is ambiguous; lengthen the pilots, or use fewer devices a sweep"
        return ""

    def _elsewhere(self, pilots: DevicePilots, moved: Movement, moves: bool) -> str:
        """The fault of a pilot that is all there, but not at the frequency or phase it should have; else ""."""
        tone, starts, estimate = pilots.tone, pilots.starts, pilots.estimate
        reach = max(self.settings.offset_range_hz, self.rate_sps / 8.0)
        found = acquire_offset(
            pilots.samples[0], tone, rate_sps=self.rate_sps, noise_variance=self.noise_variance, range_hz=reach
        )
        heard = abs(estimate.gain) ** 2 + estimate.residual_power - self.noise_variance
        whole = 10.0 ** (found.snr_db / 10.0) * self.noise_variance / tone.size >= 0.5 * heard
        strong = found.trusted and found.snr_db >= self.settings.min_snr_db
        off = found.offset_hz - estimate.offset_hz
        least = self.settings.max_phase_change_deg / 360.0 * self.rate_sps / tone.size
        away = abs(off) > 5.0 * found.standard_error_hz + least
        # Two phases `change` apart deviate from their mean by tan^2(change / 2) of its power: does that explain it?
        explained = math.tan(moved.change / 2.0) ** 2
        turns = moves and abs(moved.change) > 5.0 * moved.standard_error and explained > moved.excess / 2.0
        if not (strong and whole and (turns or away)):
            return ""
        change, seconds = moved.change, moved.seconds
        if away and len(starts) > 1:  # its phase at each pilot's start, by the offset it has
            turned = pilots.samples * tone.conj() * phasor(-found.offset_hz / self.rate_sps, tone.size)
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
            f"between {'pilots' if len(starts) > 1 else 'the halves of its pilot'}{carrier}; {REMEDY}"
        )
