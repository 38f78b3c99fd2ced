"""What is left of a payload whose channel was inverted with errors of amplitude and phase (pluto.md section 4).

A phase that is off by s (Gaussian, radians rms) takes a payload down to e^{-s^2/2} of it on average. Where s is known from
the sounding the receiver divides the sum by the mean of that over the devices, c; what is left is

    E[(Re(z e^{j phi}) / c - 1)^2] = (1 + e^{-2 s^2}) / (2 c^2) - 2 e^{-s^2/2} / c + 1 + n / (2 |h|^2 c^2)

of a unit payload, with z = h / h_hat off by the pilots' noise n. Of its own s (c = e^{-s^2/2}) the first three terms are
cosh(s^2) - 1 = s^4/2, against 3 s^4/4 uncorrected. The noise in the pilots biases nothing: what it turns, it also makes
louder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def misalignment(amplitude_std: float, phase_std: float) -> float:
    """E[(Re((1 + a) e^{j theta}) - 1)^2] of Gaussian errors a and theta (radians): a unit payload's mean squared error.

    (1 + s_a^2)(1 + e^{-2 s^2}) / 2 - 2 e^{-s^2/2} + 1
    """
    turned = np.exp(-2.0 * phase_std**2)
    return float((1.0 + amplitude_std**2) * (1.0 + turned) / 2.0 - 2.0 * np.exp(-(phase_std**2) / 2.0) + 1.0)


def mean_projection(phase_variance: Floats, active: NDArray[np.bool_]) -> Floats:
    """(...) c: the mean of e^{-s_k^2/2} over the active devices; 1 where nobody is. Arguments are (..., K)."""
    kept = np.where(active, np.exp(-phase_variance / 2.0), 0.0).sum(axis=-1)
    count = active.sum(axis=-1)
    return np.asarray(np.where(count > 0, kept / np.maximum(count, 1), 1.0))


def csi_variance(
    gains: NDArray[np.complex128],
    noise_variance: float,
    phase_variance: Floats,
    projection: float | Floats = 1.0,
) -> Floats:
    """(..., K) the mean squared error above of a unit payload inverted by its estimated gain and divided by c.

    Args:
        gains: (..., K) estimates h_hat, none of them 0.
        noise_variance: n, of an estimate by the noise in its pilots alone: E|n|^2 / (pilot samples).
        phase_variance: (..., K) s^2, of the phase by the error of the carrier offset.
        projection: c; 1: the sum is not divided.
    """
    noise = noise_variance / (2.0 * np.abs(gains) ** 2)
    square = (1.0 + np.exp(-2.0 * phase_variance)) / 2.0 + noise
    return np.asarray(square / projection**2 - 2.0 * np.exp(-phase_variance / 2.0) / projection + 1.0)
