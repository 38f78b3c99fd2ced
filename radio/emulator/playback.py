"""A waveform played by one clock and heard by another that runs almost as fast."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radio.tone import phasor

PHASES = 8  # a sample is divided into
DRIFT_MAX = 1e-3  # of one clock against the other
_MOST = 3 * PHASES + 8  # derivatives that are kept: those of all phases, and the fractions of equal clocks and echoes
_EXACT = 1e-12  # a drift below this is none

Wave = NDArray[np.complex128]


class Playback:
    """A band-limited waveform at positions p + i r, with r within `DRIFT_MAX` of 1.

    Between two of `PHASES` positions in a sample it is a Taylor series about the nearer one, w + d w' + d^2 w''/2 with
    |d| <= 1/16: the error is (2 pi f d)^3 / 6, 58 dB down at half the rate and 112 dB at a sixteenth of it. w, w' and w''
    come from the spectrum, once for each phase that is met, and over the thousands of samples for which two clocks stay
    within one phase they are read in a row. (`radio.delay.ClockedWave` interpolates afresh for every short block: eight
    times slower.) For equal clocks the fraction of a sample is exact.

    Args:
        wave: (N,) one period, or a burst with silence at both ends.
        cyclic: it repeats; else there is silence before and after.
    """

    def __init__(self, wave: Wave, cyclic: bool) -> None:
        self._wave, self._cyclic = wave, cyclic
        self._spectrum: Wave | None = None
        self._known: dict[tuple[float, int], Wave] = {}

    @property
    def size(self) -> int:
        return self._wave.size

    def heard(self, position: float, ratio: float, n: int) -> Wave:
        """(n,) samples at positions `position` + i `ratio`. May be a view of what is kept: not to be written to."""
        if abs(ratio - 1.0) < _EXACT:
            whole = math.floor(position + 5e-5)
            fraction = max(0.0, round(position - whole, 4))
            return self._cut(self._derivative(fraction, 0), whole, n)
        parts, first = [], 0
        while first < n:
            here = position + first * ratio
            phase = round(here * PHASES)
            last = min(n, self._leaves(phase, position, ratio, first))
            parts.append(self._series(phase, here - phase / PHASES, ratio - 1.0, last - first))
            first = last
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _leaves(self, phase: int, position: float, ratio: float, first: int) -> int:
        """The first sample, after `first`, whose nearest phase is not that of sample `first` any more."""
        drift = ratio - 1.0
        edge = (phase + math.copysign(0.5, drift)) / PHASES
        offset = position + first * ratio - edge
        return first + max(1, math.ceil(-offset / drift))

    def _series(self, phase: int, begin: float, drift: float, n: int) -> Wave:
        whole, fraction = divmod(phase, PHASES)
        zeroth, one, two = (self._cut(self._derivative(fraction / PHASES, order), whole, n) for order in range(3))
        distance = begin + drift * np.arange(n)
        result = two * (0.5 * distance)
        result += one
        result *= distance
        result += zeroth
        return result

    def _derivative(self, fraction: float, order: int) -> Wave:
        """(N,) the waveform's derivative of that order at positions i + fraction."""
        if fraction == 0.0 and order == 0:
            return self._wave
        known = self._known.get((fraction, order))
        if known is None:
            if self._spectrum is None:
                self._spectrum = fft.fft(self._wave)
            size = self._wave.size
            half = size // 2
            turned = np.roll(phasor(fraction / size, size, -half), -half) * self._spectrum
            if order:
                turned *= (2j * np.pi * np.fft.fftfreq(size)) ** order
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[(fraction, order)] = np.asarray(fft.ifft(turned))
        return known

    def _cut(self, wave: Wave, begin: int, n: int) -> Wave:
        size = wave.size
        if self._cyclic:
            begin %= size
        if begin >= 0 and begin + n <= size:
            return wave[begin : begin + n]
        if self._cyclic:
            return wave.take(np.arange(begin, begin + n), mode="wrap")
        result = np.zeros(n, dtype=np.complex128)
        first, last = max(0, -begin), min(n, size - begin)
        if first < last:
            result[first:last] = wave[begin + first : begin + last]
        return result
