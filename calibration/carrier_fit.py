"""Frequency, drift and steadiness of one carrier, from one capture of its tone.

The capture is cut into blocks, each of which is coherent; the phases of their means are fitted with

    phi(t) = phi_0 + 2 pi (f t + d t^2 / 2),   t = 0 in the middle,

by least squares. With the blocks' phases known to a fraction of a turn that is the maximum of the likelihood (Tretter 1985),
and about the middle the errors of f are uncorrelated with those of phi_0 and d. Standard errors come from what the fit
leaves, so that they hold for the oscillator's own phase noise as well as for the receiver's noise, if that is white from
block to block; they are widened to make intervals of a normal error as wide as Student's t asks for.

One oscillator makes a unit's carrier and its sampling clock: a tone sent at g above an LO of L is heard at (L + g) r - L in the
receiver's own hertz, r the ratio of the two oscillators. The carrier's offset is L (r - 1), that is L / (L + g) times what
the tone is off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from radio.tone import phasor

BLOCKS = 64
LEAST_BLOCKS = 12
BLOCK_SNR = 30.0  # of a block's mean: its phase is then normal, and no turn is lost


@dataclass(frozen=True)
class CarrierFit:
    """One capture's carrier, at its middle.

    offset_hz, offset_error_hz   of the carrier, in the receiver's own hertz
    drift_hz_per_s, drift_error  its change
    amplitude, amplitude_error   magnitude of the tone, ADC full scale 1
    steadiness_rad               rms of what the phases of the blocks do beyond the fit
    times_s, phases_rad          (B,) of the blocks, the phases without offset and drift at 0
    """

    offset_hz: float
    offset_error_hz: float
    drift_hz_per_s: float
    drift_error: float
    amplitude: float
    amplitude_error: float
    steadiness_rad: float
    times_s: NDArray[np.float64]
    phases_rad: NDArray[np.float64]


def fit_carrier(
    samples: NDArray[np.complex128],
    cycles: float,
    *,
    rate_sps: float,
    lo_hz: float,
    tone_hz: float,
    noise_variance: float,
) -> CarrierFit:
    """See the module.

    Args:
        samples: (N,) capture of a tone, other strong lines a block's width away at least.
        cycles: where in it the tone is, cycles a sample, within a fraction of 1 / N.
        rate_sps, lo_hz: of the receiver.
        tone_hz: where the device put the tone.
        noise_variance: per complex sample; settles how many blocks there are.
    """
    n = samples.size
    turned = samples * phasor(-cycles, n, -(n - 1) / 2.0)
    power = max(abs(complex(turned.mean())) ** 2, 1e-30)
    snr = n * power / max(noise_variance, 1e-30)
    count = int(min(BLOCKS, max(LEAST_BLOCKS, snr / BLOCK_SNR)))
    length = n // count
    first = (n - count * length) // 2
    means = turned[first : first + count * length].reshape(count, length).mean(axis=1)
    times = (first + length * (np.arange(count) + 0.5) - n / 2.0) / rate_sps
    phases = np.unwrap(np.angle(means))
    half = times[-1]
    fitted = np.polynomial.legendre.Legendre.fit(times, phases, 2, domain=[-half, half])
    rest = phases - fitted(times)
    freedom = count - 3
    spread = math.sqrt(float(rest @ rest) / freedom)
    wider = float(stats.t.ppf(0.975, freedom) / special.ndtri(0.975))
    basis = np.polynomial.legendre.legvander(times / half, 2)
    errors = spread * wider * np.sqrt(np.linalg.inv(basis.T @ basis).diagonal())
    slope, bend = float(fitted.coef[1]) / half, 3.0 * float(fitted.coef[2]) / half**2
    slope_error, bend_error = float(errors[1]) / half, 3.0 * float(errors[2]) / half**2
    to_carrier = lo_hz / (lo_hz + tone_hz) / (2.0 * math.pi)
    levels = means * np.exp(-1j * fitted(times))
    additive = math.sqrt(max(noise_variance, 0.0) / (2.0 * n))
    return CarrierFit(
        offset_hz=(cycles * rate_sps - tone_hz) * lo_hz / (lo_hz + tone_hz) + slope * to_carrier,
        offset_error_hz=slope_error * to_carrier,
        drift_hz_per_s=bend * to_carrier,
        drift_error=bend_error * to_carrier,
        amplitude=abs(complex(levels.mean())),
        amplitude_error=max(float(levels.real.std(ddof=1)) / math.sqrt(count) * wider, additive),
        steadiness_rad=spread,
        times_s=np.asarray(times, dtype=np.float64),
        phases_rad=phases - fitted.coef[0] + fitted.coef[2] / 2.0 - slope * times,
    )


def offset_bound_hz(noise_variance: float, amplitude: float, n: int, rate_sps: float) -> float:
    """Cramer-Rao bound on the standard error of a tone's frequency in white noise (Rife and Boorstyn 1974)."""
    return math.sqrt(6.0 * noise_variance / (n * (n**2 - 1.0))) / (2.0 * math.pi * amplitude) * rate_sps
