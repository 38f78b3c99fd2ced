"""Allan deviation of a carrier whose frequency was measured at even intervals, with confidence.

Overlapping estimate from M fractional frequencies y_i, tau = m times the interval (NIST SP 1065):

    sigma^2(tau) = 1 / (2 m^2 (M - 2 m + 1)) sum_{j=1}^{M-2m+1} ( sum_{i=j}^{j+m-1} (y_{i+m} - y_i) )^2

What is measured is shorter than the interval, so that for tau near one interval the values hold for a frequency read now and
then, not for its average in between.

Intervals: sigma^2 edf / chi^2 with the equivalent degrees of freedom of the noise that the data look like (SP 1065, after
Howe, Allan and Barnes 1981), which their autocorrelation at lag 1 tells (Riley and Greenhall 2004).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEAST_PAIRS = 4  # differences that a value is made from, at least


@dataclass(frozen=True)
class Allan:
    """tau_s, deviation   (L,)
    low, high            (L,) 95 % interval
    power                (L,) alpha of the noise at each, S_y ~ f^alpha: 2 white phase ... -2 random walk of frequency"""

    tau_s: NDArray[np.float64]
    deviation: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    power: NDArray[np.int64]


def allan_variance(y: NDArray[np.float64], m: int) -> float:
    """Overlapping, of (M,) frequencies, M at least 2 m."""
    phase = np.concatenate([[0.0], np.cumsum(y)])
    second = phase[2 * m :] - 2.0 * phase[m:-m] + phase[: -2 * m]
    return float(second @ second) / (2.0 * m**2 * second.size)


def allan(y: NDArray[np.float64], interval_s: float) -> Allan:
    """At tau = 1, 2, 4, ... intervals, as far as the data go.

    Args:
        y: (M,) fractional frequencies, M at least 8.
        interval_s: from one to the next.
    """
    size = y.size
    factors = [m for m in (1 << np.arange(20)) if size - 2 * m + 1 >= LEAST_PAIRS]
    deviation, low, high, power = [], [], [], []
    for m in factors:
        variance = allan_variance(y, int(m))
        alpha = noise_power(y, int(m))
        freedom = max(1.0, degrees_of_freedom(alpha, size + 1, int(m)))
        deviation.append(math.sqrt(variance))
        low.append(math.sqrt(variance * freedom / float(stats.chi2.ppf(0.975, freedom))))
        high.append(math.sqrt(variance * freedom / float(stats.chi2.ppf(0.025, freedom))))
        power.append(alpha)
    return Allan(
        np.array(factors) * interval_s,
        np.array(deviation),
        np.array(low),
        np.array(high),
        np.array(power, dtype=np.int64),
    )


def noise_power(y: NDArray[np.float64], m: int) -> int:
    """alpha in -2 ... 2 of the noise of (M,) frequencies averaged over m, by their autocorrelation at lag 1.

    A record that is too short for it at m takes what it is at the longest average of which there are 16.
    """
    m = max(1, min(m, y.size // 16))
    data = y[: y.size // m * m].reshape(-1, m).mean(axis=1)
    differences = 0
    while True:
        centred = data - data.mean()
        energy = float(centred @ centred)
        r = float(centred[1:] @ centred[:-1]) / energy if energy > 0.0 else 0.0
        delta = r / (1.0 + r)
        if delta < 0.25 or differences == 2:
            return int(np.clip(round(-2.0 * (delta + differences)), -2, 2))
        data, differences = np.diff(data), differences + 1


def degrees_of_freedom(alpha: int, points: int, m: int) -> float:
    """Of the overlapping estimate from `points` phases (one more than frequencies)."""
    n = float(points)
    match alpha:
        case 2:
            return (n + 1.0) * (n - 2.0 * m) / (2.0 * (n - m))
        case 1:
            product = math.log((n - 1.0) / (2.0 * m)) * math.log((2.0 * m + 1.0) * (n - 1.0) / 4.0)
            return math.exp(math.sqrt(max(0.0, product)))
        case 0:
            return (3.0 * (n - 1.0) / (2.0 * m) - 2.0 * (n - 2.0) / n) * 4.0 * m**2 / (4.0 * m**2 + 5.0)
        case -1:
            return 2.0 * (n - 2.0) / (2.3 * n - 4.9) if m == 1 else 5.0 * n**2 / (4.0 * m * (n + 3.0 * m))
        case _:
            return (n - 2.0) / m * ((n - 1.0) ** 2 - 3.0 * m * (n - 1.0) + 4.0 * m**2) / (n - 3.0) ** 2
