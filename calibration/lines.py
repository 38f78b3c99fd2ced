"""Steady lines in a capture: tones, images and leaks, each a complex exponential in white noise.

    y_i = sum_l a_l e^{2 pi j c_l t_i} + n_i,   t_i = i - (N - 1) / 2,   E|n|^2 = v per complex sample

Amplitudes are complex, with the phase at the middle of the capture, where the errors of a line's phase and frequency are
uncorrelated. Bounds of a single line (Rife & Boorstyn 1974), a = |a_1|:

    Var |a| >= v / (2 N)      Var phase >= v / (2 N a^2)      Var c >= 6 v / ((2 pi)^2 a^2 N (N^2 - 1))

The bounds of amplitude and of phase do not depend on whether the frequency is known. Of several lines of known frequency,
Cov a >= v (E^H E)^-1 with E_il = e^{2 pi j c_l t_i}, half of it in each real dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.tone import phasor

MERGED_BINS = 1.5  # of 1 / N: two lines nearer than this are not told apart
NEAR_BINS = 32  # to either side of a tone
_NEWTON_STEPS = 6


@dataclass(frozen=True)
class Lines:
    """Attributes:
    cycles: (L,) frequencies in cycles a sample.
    amplitudes: (L,) complex, at the middle of the capture.
    standard_errors: (L,) of each real dimension of an amplitude.
    noise_variance: E|n|^2 per complex sample, from what the lines leave.
    """

    cycles: NDArray[np.float64]
    amplitudes: NDArray[np.complex128]
    standard_errors: NDArray[np.float64]
    noise_variance: float


def amplitude_bound(noise_variance: float, n: int) -> float:
    """Cramer-Rao bound on the standard error of a line's magnitude; the same of a real dimension."""
    return math.sqrt(noise_variance / (2.0 * n))


def frequency_bound(noise_variance: float, amplitude: float, n: int) -> float:
    """Cramer-Rao bound on the standard error of a line's frequency, cycles a sample."""
    return math.sqrt(6.0 * noise_variance / (n * (n**2 - 1.0))) / (2.0 * math.pi * amplitude)


def fit_lines(samples: NDArray[np.complex128], cycles: Sequence[float]) -> Lines:
    """Least squares for the amplitudes of lines of known frequency, which is maximum likelihood in white noise.

    Args:
        samples: (N,).
        cycles: (L,) frequencies in cycles a sample, each at least `MERGED_BINS` / N from every other.
    """
    n = samples.size
    exponentials = np.stack([_exponential(one, n) for one in cycles])
    gram = exponentials.conj() @ exponentials.T
    amplitudes: NDArray[np.complex128] = np.asarray(np.linalg.solve(gram, exponentials.conj() @ samples), np.complex128)
    rest = samples - amplitudes @ exponentials
    noise = float(np.vdot(rest, rest).real) / max(1, n - len(cycles))
    errors = np.sqrt(noise * np.linalg.inv(gram).diagonal().real / 2.0)
    return Lines(np.asarray(cycles, dtype=np.float64), amplitudes, errors, noise)


def refine(samples: NDArray[np.complex128], cycles: float) -> float:
    """The frequency of the strongest line next to `cycles` (within half a bin): the periodogram's maximum, by Newton's
    method. With other lines taken off beforehand it is the maximum of the likelihood."""
    n = samples.size
    times = np.arange(n) - (n - 1) / 2.0
    for _ in range(_NEWTON_STEPS):
        turned = samples * _exponential(-cycles, n)
        s0, s1, s2 = complex(turned.sum()), complex(turned @ times), complex(turned @ times**2)
        slope = 2.0 * (s0.conjugate() * s1).imag
        curvature = 2.0 * (abs(s1) ** 2 - (s0.conjugate() * s2).real)
        if curvature >= 0.0:
            break
        step = min(math.pi / n, max(-math.pi / n, -slope / curvature)) / (2.0 * math.pi)
        cycles += step
        if abs(step) * n < 1e-9:
            break
    return cycles


def separate(
    samples: NDArray[np.complex128], cycles: Sequence[float], fixed: Sequence[float] = (), passes: int = 2
) -> Lines:
    """Lines near `cycles`, whose frequencies are refined in turn while the others are taken off (RELAX, Li & Stoica 1996),
    and lines at `fixed` frequencies after them."""
    n, found = samples.size, list(cycles)
    for _ in range(passes):
        fitted = fit_lines(samples, [*found, *fixed])
        waves = [a * _exponential(c, n) for a, c in zip(fitted.amplitudes, fitted.cycles, strict=True)]
        rest = samples - np.sum(waves, axis=0)
        found = [refine(rest + wave, c) for wave, c in zip(waves, found, strict=False)]
    return fit_lines(samples, [*found, *fixed])


def strongest(samples: NDArray[np.complex128], noise_variance: float, near: float, within: float) -> float | None:
    """The frequency of the strongest line within +-`within` of `near` (cycles a sample), to half a bin; None if it might
    be noise: P(any bin of white noise reaches it) < 1e-4.

    The caller takes off a constant first: it is a line as well.
    """
    n = samples.size
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.fft(samples, size)) ** 2 / n
    grid = np.fft.fftfreq(size)
    away = np.abs((grid - near + 0.5) % 1.0 - 0.5)
    power[away > within + 1.0 / size] = 0.0
    best = int(np.argmax(power))
    candidates = max(1.0, 2.0 * within * n)
    if not power[best] > (math.log(candidates * 1e4) + 1.0) * noise_variance:
        return None
    return float(grid[best])


def noise_near(samples: NDArray[np.complex128], fitted: Lines, cycles: float) -> float:
    """Noise per complex sample as it is next to `cycles`, within `NEAR_BINS`: where tones have phase noise, it is not white."""
    n = samples.size
    rest = samples - np.sum(
        [a * _exponential(c, n) for a, c in zip(fitted.amplitudes, fitted.cycles, strict=True)], axis=0
    )
    power = np.abs(np.fft.fft(rest)) ** 2 / n
    places = (round(cycles * n) + np.concatenate([np.arange(-NEAR_BINS, -1), np.arange(2, NEAR_BINS + 1)])) % n
    return float(power[places].mean())


def _exponential(cycles: float, n: int) -> NDArray[np.complex128]:
    return phasor(cycles, n, -(n - 1) / 2.0)
