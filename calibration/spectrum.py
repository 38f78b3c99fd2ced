"""The spectrum of a channel in which nobody of ours sends: how much is noise, and what is somebody else's.

Short periodograms (Hann windows, not overlapped), each bin of which is exponentially distributed where there is only noise.
The floor is their median divided by ln 2, over the bins and the windows in which a first pass finds nothing else: what it
does not find moves a median little. In white noise its standard error is 1.79 floor / sqrt(N) (the median of exponentials,
whose neighbours a Hann window correlates), 1.79 times the Cramer-Rao bound of a variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

POINTS = 1024
DC_BINS = 3  # either side of the receiver's own offset
FLOOR_ERROR = 1.79
FALSE_ALARM = 1e-4  # of a whole spectrum of noise
BURST_SIGMAS = 6.0
IMAGE = 0.01  # of a signal's power that a mixer leaves at minus its frequency, at most


@dataclass(frozen=True)
class Line:
    """Something that sends.

    low_hz, high_hz  its ends, from the receiver's LO; equal for a steady line
    power            mean square at the ADC, full scale 1; `standard_error` of it
    """

    low_hz: float
    high_hz: float
    power: float
    standard_error: float

    @property
    def middle_hz(self) -> float:
        return 0.5 * (self.low_hz + self.high_hz)


@dataclass(frozen=True)
class Spectrum:
    """A channel.

    frequency_hz   (P,) from the LO, rising
    power          (P,) mean square a bin of white noise of that variance would have: its mean is the channel's power
    floor          noise variance per complex sample, and its standard error
    lines          what sends all the time, strongest first; images that the receiver makes of it are left out
    foreign        power of all that is not noise, the receiver's DC offset left out
    bursts         share of the windows in which something wide-band was on, and its standard error
    dc             constant at the ADC
    """

    frequency_hz: NDArray[np.float64]
    power: NDArray[np.float64]
    floor: float
    standard_error: float
    lines: tuple[Line, ...]
    foreign: float
    bursts: float
    bursts_error: float
    dc: complex

    @property
    def floor_error_db(self) -> float:
        return 10.0 / math.log(10.0) * self.standard_error / self.floor

    @property
    def disturbed_db(self) -> float:
        """Noise with all that is foreign, over noise."""
        return 10.0 * math.log10(1.0 + max(0.0, self.foreign) / self.floor)


def observe(samples: NDArray[np.complex128], rate_sps: float, points: int = POINTS) -> Spectrum:
    """What (N,) samples of a channel hold, N at least 8 `points`."""
    window = signal.windows.hann(points, sym=False)
    count = samples.size // points
    frames = samples[: count * points].reshape(count, points)
    power = np.abs(np.fft.fftshift(np.fft.fft(frames * window, axis=1), axes=1)) ** 2 / float(window @ window)
    bins = np.arange(points) - points // 2
    kept = np.abs(bins) > DC_BINS
    frequency_hz = np.asarray(bins * (rate_sps / points), dtype=np.float64)
    mean = power.mean(axis=0)
    free, quiet = kept, np.ones(count, dtype=bool)
    for _ in range(2):
        clear = power[np.ix_(quiet, free)]
        floor = max(float(np.median(clear)) / math.log(2.0), np.finfo(np.float64).tiny)
        error = FLOOR_ERROR * floor / math.sqrt(clear.size)
        groups = _groups(mean, floor, count, kept)
        loud = _loud(power[:, kept], floor)
        taken = np.zeros(points, dtype=bool)
        for group in groups:
            taken[max(0, group[0] - 3) : group[-1] + 4] = True
        free = kept & ~taken if (kept & ~taken).sum() > points // 4 else kept
        near = loud | np.roll(loud, 1) | np.roll(loud, -1)  # a burst begins before it is loud
        quiet = ~near if (~near).sum() > count // 4 else quiet
    share = float(loud.mean())
    return Spectrum(
        frequency_hz=frequency_hz,
        power=mean,
        floor=floor,
        standard_error=error,
        lines=_lines(groups, power, floor, frequency_hz),
        foreign=float(mean[kept].mean()) - floor,
        bursts=share,
        bursts_error=math.sqrt(max(share * (1.0 - share), 1.0 / count) / count),
        dc=complex(samples.mean()),
    )


def _groups(mean: NDArray[np.float64], floor: float, count: int, kept: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Neighbouring bins whose mean over `count` windows noise reaches in one of 1 / `FALSE_ALARM` spectra."""
    most = floor * float(stats.gamma.isf(FALSE_ALARM / mean.size, count)) / count
    above = np.flatnonzero((mean > most) & kept)
    return np.split(above, np.flatnonzero(np.diff(above) > 2) + 1) if above.size else []


def _loud(power: NDArray[np.float64], floor: float) -> NDArray[np.bool_]:
    """(S,) windows of (S, P) power that are stronger than usual, as a whole."""
    totals = power.mean(axis=1)
    # The relative spread of a mean over bins that a Hann window correlates: sqrt(35 / 18 / bins).
    spread = floor * math.sqrt(35.0 / 18.0 / power.shape[1])
    return np.asarray(totals > float(np.median(totals)) + BURST_SIGMAS * spread)


def _lines(
    groups: list[NDArray[np.intp]],
    power: NDArray[np.float64],
    floor: float,
    frequency_hz: NDArray[np.float64],
) -> tuple[Line, ...]:
    count, points = power.shape
    width = float(frequency_hz[1] - frequency_hz[0])
    found: list[Line] = []
    for group in groups:
        first, last = max(0, group[0] - 1), min(points, group[-1] + 2)  # with the feet of the window's main lobe
        each = (power[:, first:last] - floor).sum(axis=1) / points
        level, error = float(each.mean()), float(each.std(ddof=1)) / math.sqrt(count)
        excess = power[:, first:last].mean(axis=0) - floor
        middle = float(excess @ frequency_hz[first:last] / excess.sum())
        low, high = float(frequency_hz[group[0]]), float(frequency_hz[group[-1]])
        # A steady line lights up no more than the main lobe, four bins, and some more where it is very strong.
        wide = high - low > 6.0 * width and excess.max() < 0.5 * excess.sum()
        found.append(Line(low, high, level, error) if wide else Line(middle, middle, level, error))
    found.sort(key=lambda line: -line.power)
    return tuple(one for one in found if not any(_image(one, other, width) for other in found))


def _image(one: Line, other: Line, width_hz: float) -> bool:
    """Whether `one` is what the receiver's mixer makes of `other`."""
    return one.power < IMAGE * other.power and abs(one.middle_hz + other.middle_hz) < 2.0 * width_hz
