"""The payload's waveform and its receiver: a steady tone off DC, measured by projection.

A scalar needs no bandwidth, so it is held for a window of M samples. The tone sits on a bin coprime with M: it then
visits M different phases, which spreads the converters' quantisation error over all bins, and is orthogonal to a DC
offset.
A late start is a phase, which sounding measures together with the channel. So are echoes: a tone is one frequency, and
through any number of paths it arrives as one complex number times itself, so a frequency-selective channel needs nothing
else (a late path only smears the slot's first samples, which the guard discards).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError

SMALLEST_WINDOW = 64
TONE_GUARD_BINS = 4  # a residual carrier offset smears the tone over its neighbours: not noise
DC_GUARD_BINS = 2
IMAGE_GUARD_BINS = 1


def tone_bin(window: int) -> int:
    """The bin nearest to 257/16384 of the rate (but at least 9 cycles a window) that is coprime with `window`."""
    if window < SMALLEST_WINDOW:
        raise InputError(f"window is {window} samples; at least {SMALLEST_WINDOW} are needed")
    target = max(9, round(window * 257 / 16384))
    for distance in range(window // 2):
        for candidate in (target + distance, target - distance):
            if 9 <= candidate < window // 2 and math.gcd(candidate, window) == 1:
                return candidate
    raise InputError(f"window is {window} samples, for which no tone bin exists; try a power of two")


def phasor(cycles_per_sample: float, n: int, start: float = 0.0) -> NDArray[np.complex128]:
    """(n,) exp(2 pi j f (start + i)).

    Built from two short tables instead of n exponentials (ten times faster, error below 1e-15 * a few).
    """
    columns = 64
    rows = -(-n // columns)
    coarse = np.exp(2j * np.pi * math.fmod(cycles_per_sample * start, 1.0)) * np.exp(
        2j * np.pi * np.remainder(cycles_per_sample * columns * np.arange(rows), 1.0)
    )
    fine = np.exp(2j * np.pi * cycles_per_sample * np.arange(columns))
    return np.asarray((coarse[:, None] * fine[None, :]).reshape(-1)[:n])


@dataclass(frozen=True)
class ToneEstimate:
    """One window measured.

    Attributes:
        amplitude: complex amplitude of the tone, phase at the window's reference instant.
        standard_error: of each real dimension of `amplitude`, sqrt(noise_variance / (2 M)).
        noise_variance: E|n|^2 per complex sample, by the median of the other bins: blind to a few strong lines.
        residual_power: mean power of the other bins, the same unit: not blind to them. Far above `noise_variance` (or
            the sounded floor) means that something else is on the air. The receiver's own DC offset and the tone's image
            are known vices, far from the tone, and left out.
        dc: constant in the window; standard error as of `amplitude`.
        image: amplitude at minus the tone's frequency, phase at the window's first sample; as `dc`.
    """

    amplitude: complex
    standard_error: float
    noise_variance: float
    residual_power: float
    dc: complex = 0j
    image: complex = 0j

    @property
    def image_db(self) -> float:
        """Power of the image over the tone's."""
        if self.amplitude == 0.0 or self.image == 0.0:
            return -math.inf
        return 20.0 * math.log10(abs(self.image) / abs(self.amplitude))


@lru_cache(maxsize=16)
def _noise_bins(window: int, bin_index: int) -> NDArray[np.intp]:
    bins = np.arange(window)
    distance_dc = np.minimum(bins, window - bins)
    distance_tone = np.abs(bins - bin_index)
    return np.flatnonzero((distance_dc > DC_GUARD_BINS) & (distance_tone > TONE_GUARD_BINS))


@lru_cache(maxsize=16)
def _image_bins(window: int, bin_index: int) -> NDArray[np.intp]:
    """Places in `_noise_bins` of the bins next to the image, none where the window is too short to tell them apart."""
    bins = _noise_bins(window, bin_index)
    near = np.flatnonzero(np.abs(bins - (window - bin_index)) <= IMAGE_GUARD_BINS)
    return near if near.size < bins.size // 4 else near[:0]


@lru_cache(maxsize=16)
def _unit_tone(cycles_per_sample: float, n: int, start: int) -> NDArray[np.complex128]:
    wave = phasor(cycles_per_sample, n, start)
    wave.flags.writeable = False
    return wave


@dataclass(frozen=True)
class Tone:
    """The tone of a window of `window` samples."""

    window: int

    def __post_init__(self) -> None:
        tone_bin(self.window)

    @property
    def bin(self) -> int:
        return tone_bin(self.window)

    @property
    def cycles_per_sample(self) -> float:
        return self.bin / self.window

    def samples(self, n: int, start: int = 0) -> NDArray[np.complex128]:
        """(n,) unit-amplitude tone, sample `start` onwards; read-only and shared between callers."""
        return _unit_tone(self.cycles_per_sample, n, start)

    def project(self, samples: NDArray[np.complex128], start: int = 0) -> ToneEstimate:
        """Least squares for the amplitude of the exact tone in white noise.

        y_i = a e^{2 pi j f (start + i)} + n_i  =>  a_hat = (1/M) sum_i y_i e^{-2 pi j f (start + i)},
        unbiased, Var = E|n|^2/M, so E|n|^2/(2 M) in each real dimension (pluto.md section 4).

        Args:
            samples: (window,) one slot.
            start: index of its first sample since the tone's phase was zero.
        """
        if samples.shape != (self.window,):
            raise InputError(f"a slot of shape {samples.shape} was given; the tone's window is ({self.window},)")
        spectrum = np.fft.fft(samples)
        # The tone is exactly a bin: the transform holds the projection already.
        turn = np.exp(-2j * np.pi * math.fmod(self.cycles_per_sample * start, 1.0))
        amplitude = complex(spectrum[self.bin] * turn / self.window)
        others = spectrum[_noise_bins(self.window, self.bin)]
        power = (others.real**2 + others.imag**2) / self.window
        # A bin of white noise is exponentially distributed: its median is ln 2 of its mean.
        noise_variance = float(np.median(power)) / math.log(2.0)
        images = power[_image_bins(self.window, self.bin)]
        return ToneEstimate(
            amplitude=amplitude,
            standard_error=math.sqrt(noise_variance / (2.0 * self.window)),
            noise_variance=noise_variance,
            residual_power=float(power.sum() - images.sum()) / (power.size - images.size),
            dc=complex(spectrum[0] / self.window),
            image=complex(spectrum[self.window - self.bin] / self.window),
        )

    @property
    def noise_bins(self) -> int:
        """How many bins `ToneEstimate.noise_variance` is the median of."""
        return _noise_bins(self.window, self.bin).size
