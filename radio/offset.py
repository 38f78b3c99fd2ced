"""First stage of the carrier offset: where a tone of unknown frequency is, from one pilot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class OffsetEstimate:
    """Attributes:
    offset_hz: estimate.
    standard_error_hz: root of the Cramer-Rao bound at the estimated SNR; honest above the threshold only.
    snr_db: power of the peak over the mean noise of a bin, i.e. N |h|^2 / E|n|^2.
    trusted: the peak is not noise: P(any bin of white noise reaches it) < 1e-4.
    """

    offset_hz: float
    standard_error_hz: float
    snr_db: float
    trusted: bool


def acquire_offset(
    pilot: NDArray[np.complex128],
    tone: NDArray[np.complex128],
    *,
    rate_sps: float,
    noise_variance: float,
    range_hz: float,
) -> OffsetEstimate:
    """The maximum of the periodogram over +-range_hz, refined between its bins: the single-tone ML estimate.

        f_hat = argmax |sum_i y_i conj(tone_i) e^{-2 pi j f i / rate}|^2         (Rife & Boorstyn 1974)

    One pilot is a short sequence: it resolves any offset without ambiguity, to rate sqrt(6 / (N^3 SNR)) / 2 pi. The second
    stage (`pilot.estimate_gain`) takes all pilots together, whose phases are ambiguous by one turn from one to the next
    unless this stage has narrowed the offset to a fraction of that.

    Args:
        pilot: (N,) received; a constant (the receiver's DC offset) must have been taken off, it is a tone as well.
        tone: (N,) as it would have arrived without offset.
        rate_sps: sampling rate.
        noise_variance: E|n|^2 per complex sample.
        range_hz: half the width of the search, at most half the rate.
    """
    n = pilot.size
    product = pilot * tone.conj()
    size = 1 << (2 * n - 1).bit_length()  # at least two points a lobe
    cycles = np.fft.fftfreq(size)
    power = np.abs(np.fft.fft(product, size)) ** 2
    power[np.abs(cycles) * rate_sps > range_hz + rate_sps / size] = 0.0
    best = int(np.argmax(power))
    omega = 2.0 * math.pi * float(cycles[best])
    times = np.arange(n) - (n - 1) / 2.0
    for _ in range(3):
        turned = product * np.exp(-1j * omega * times)
        s0, s1, s2 = turned.sum(), turned @ times, turned @ times**2
        slope = 2.0 * (s0.conjugate() * s1).imag
        curvature = 2.0 * (abs(s1) ** 2 - (s0.conjugate() * s2).real)
        if curvature >= 0.0:
            break
        omega += min(math.pi / n, max(-math.pi / n, -slope / curvature))
    peak = abs(np.sum(product * np.exp(-1j * omega * times))) ** 2 / n
    snr = peak / max(noise_variance, 1e-300)
    to_hz = rate_sps / (2.0 * math.pi)
    candidates = max(1.0, 2.0 * range_hz / rate_sps * n)
    return OffsetEstimate(
        offset_hz=omega * to_hz,
        standard_error_hz=math.sqrt(6.0 / (max(snr, 1e-12) * max(1.0, n**2 - 1.0))) * to_hz,
        snr_db=10.0 * math.log10(max(snr, 1e-300)),
        trusted=bool(math.isfinite(peak) and snr > math.log(candidates * 1e4) + 1.0),
    )
