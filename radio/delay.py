"""Delays and sampling clocks of band-limited waveforms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radio.tone import phasor

EDGE = 32  # samples kept either side of a delayed burst for the ringing of its edges
_TAPS = 16  # of the interpolator, on a wave sampled twice as densely: images 100 dB down
_BLOCK_DRIFT = 0.001  # samples by which a clock may drift within a block that is interpolated at one fraction


def delay(wave: NDArray[np.complex128], fraction: float) -> NDArray[np.complex128]:
    """Circular delay by `fraction` of a sample, exact for a periodic band-limited signal."""
    spectrum = fft.fft(wave)
    half = wave.size // 2
    ramp = phasor(-fraction / wave.size, wave.size, -half)  # frequencies -half/N upwards
    spectrum[: wave.size - half] *= ramp[half:]
    spectrum[wave.size - half :] *= ramp[:half]
    return np.asarray(fft.ifft(spectrum))


def echo(
    wave: NDArray[np.complex128], gains: NDArray[np.complex128], delays: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Circular convolution with sum_l gains_l delta(t - delays_l), delays (L,) in samples."""
    cycles = np.fft.fftfreq(wave.size)
    response = np.zeros(wave.size, dtype=np.complex128)
    for gain, lag in zip(gains, delays, strict=True):
        response += gain * np.exp(-2j * np.pi * cycles * lag)
    return np.asarray(fft.ifft(fft.fft(wave) * response))


def padded(wave: NDArray[np.complex128], tail: int = 0) -> NDArray[np.complex128]:
    """A burst with silence of `EDGE` before and at least `EDGE` + `tail` after it, for a circular delay."""
    burst = np.zeros(_fast_length(wave.size + 2 * EDGE + tail), dtype=np.complex128)
    burst[EDGE : EDGE + wave.size] = wave
    return burst


def _fast_length(least: int) -> int:
    """The smallest length of at least `least` that is a multiple of a large power of two: a quick transform."""
    unit = 1 << max(0, least.bit_length() - 5)
    return -(-least // unit) * unit


class ClockedWave:
    """A waveform played by a sampling clock that is not the receiver's.

    Interpolated from a copy sampled twice as densely (by its spectrum, so band-limited up to half the rate), at one
    fraction for each block short enough for the clocks to drift apart by no more than a thousandth of a sample: errors
    are 50 dB down at half the rate and less below it.

    Args:
        wave: (N,) one period, or a burst.
        cyclic: it repeats; else there is silence before and after it.
        ratio: samples played for each of the receiver's samples.
    """

    def __init__(self, wave: NDArray[np.complex128], cyclic: bool, ratio: float) -> None:
        self.cyclic, self.ratio = cyclic, ratio
        spectrum = fft.fft(wave)
        dense = np.zeros(2 * wave.size, dtype=np.complex128)
        half = (wave.size + 1) // 2
        dense[:half], dense[dense.size - (wave.size - half) :] = spectrum[:half], spectrum[half:]
        self._dense = 2.0 * fft.ifft(dense)
        self._block = int(min(1024, max(16, 2.0 * _BLOCK_DRIFT / max(abs(ratio - 1.0), 1e-12))))

    def heard(self, position: float, n: int, ratio: float | None = None) -> NDArray[np.complex128]:
        """(n,) samples at positions position + i * ratio of the wave; another `ratio` near it where the clock drifts."""
        ratio = self.ratio if ratio is None else ratio
        block, half = min(self._block, n), _TAPS // 2
        blocks = -(-n // block)
        middles = 2.0 * (position + (np.arange(blocks) * block + (block - 1) / 2.0) * ratio)
        firsts = middles - (block - 1)  # the block's samples are two dense ones apart
        whole = np.floor(firsts).astype(np.int64)
        fraction = firsts - whole
        index = whole[:, None] + np.arange(-half + 1, 2 * (block - 1) + half + 1)
        if self.cyclic:
            source = self._dense[index % self._dense.size]
        else:
            inside = (index >= 0) & (index < self._dense.size)
            source = np.where(inside, self._dense[np.where(inside, index, 0)], 0.0)
        distance = np.arange(-half + 1, half + 1)[None, :] - fraction[:, None]
        # Low-pass at half the dense rate: the signal ends at a quarter, its images begin at three quarters.
        window = np.i0(10.0 * np.sqrt(np.maximum(0.0, 1.0 - (distance / half) ** 2))) / np.i0(10.0)
        taps = np.sinc(distance) * window
        taps /= taps.sum(axis=1, keepdims=True)
        result = np.zeros((blocks, block), dtype=np.complex128)
        for m in range(_TAPS):
            result += taps[:, m, None] * source[:, m : m + 2 * block - 1 : 2]
        return result.reshape(-1)[:n]
