"""For how long a channel's gain holds, from the power of pilots at scattered instants.

Of a Rician gain, h = sqrt(P / (K + 1)) (sqrt(K) + g(t)), g Gaussian with E g(t + s) g(t)* = r(s), the power's statistics are

    Var |h|^2 = P^2 (2 K + 1) / (K + 1)^2
    E (|h(t + s)|^2 - |h(t)|^2)^2 / 2 = P^2 (2 K (1 - r) + 1 - r^2) / (K + 1)^2          (K = 0: Rayleigh)

which a free-running clock does not disturb: it turns h. The first gives K (Greenstein et al. 1999), the second, averaged in
bins of lag, r with one time scale: Clarke and Jakes' J_0(2 pi f s), or e^{-s / T}, whichever fits better. Errors are those of
the same estimator on simulated gains at the same instants (parametric bootstrap): few independent fades are seen in a
session, and how few depends on what is being estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0
from scipy.stats import chi2

from calibration.finding import Estimate
from radio.streams import stream

Floats = NDArray[np.float64]
Kernel = Literal["jakes", "exponential"]

HALF = 0.5  # of the correlation: the coherence time
_JAKES_HALF = 1.5211 / (2.0 * math.pi)  # J_0(1.5211) = 0.5
SIGNIFICANT = 1e-4  # probability that noise alone makes a still channel move so much
TIMES = 48  # candidates for the time scale
BINS = 14
DRAWS = 80  # of the bootstrap
_MOST_K = 1e4


def correlation(kernel: Kernel, lag_s: Floats, coherence_s: float) -> Floats:
    """r(s), one half at `coherence_s`."""
    if kernel == "jakes":
        return np.asarray(j0(2.0 * math.pi * _JAKES_HALF * lag_s / coherence_s))
    return np.asarray(np.exp(-math.log(2.0) * lag_s / coherence_s))


@dataclass(frozen=True)
class Coherence:
    """Attributes:
    moves: more than noise explains.
    kernel: which r fits.
    coherence: time at which r is one half, s; with `moves` False, None: longer than the `span_s` looked at.
    rician_k: K, None where nothing moves.
    change: standard deviation of |h| over its rms; with `moves` False what it is below in 97.5 of 100 cases.
    span_s: from first to last pilot.
    """

    moves: bool
    kernel: Kernel
    coherence: Estimate | None
    rician_k: Estimate | None
    change: float
    span_s: float


def changes(times_s: Floats, gains: Floats, variances: Floats, bins: int = BINS) -> tuple[Floats, Floats, Floats]:
    """How much magnitudes differ after a while: lags (b,), rms difference over the rms magnitude with the noise's share taken
    off (b,), pairs (b,).

    Args:
        times_s, gains: (n,) instants and magnitudes.
        variances: (n,) of the magnitudes by noise.
    """
    lags, index, pairs = _pairs(times_s, bins)
    i, j = pairs
    squares = (gains[i] - gains[j]) ** 2 - variances[i] - variances[j]
    count = np.bincount(index, minlength=lags.size)
    mean = np.bincount(index, squares, minlength=lags.size) / np.maximum(count, 1)
    kept = count > 0
    change = np.sqrt(np.maximum(mean, 0.0) / float(np.mean(gains**2)))
    return lags[kept], change[kept], count[kept].astype(np.float64)


def fit_coherence(times_s: Floats, gains: Floats, errors: Floats, seed: int = 0) -> Coherence:
    """See the module.

    Args:
        times_s: (n,) rising instants.
        gains: (n,) magnitudes |h|, the noise's share taken off.
        errors: (n,) their standard errors.
        seed: of the bootstrap.
    """
    span = float(times_s[-1] - times_s[0])
    power, mean = gains**2, float(np.mean(gains**2))
    noise = float(np.mean(errors**2))
    scatter = float(np.sum((gains - gains.mean()) ** 2))
    freedom = gains.size - 1
    if chi2.sf(scatter / noise, freedom) > SIGNIFICANT:
        bound = math.sqrt(max(0.0, scatter / float(chi2.ppf(0.025, freedom)) - noise) / mean)
        return Coherence(False, "jakes", None, None, bound, span)
    pair = _pairs(times_s, BINS)
    kernel, scale, factor = _fit(pair, power, _power_noise(power, errors))
    log_scales, log_factors = [], []
    sizes, draws = times_s.size, stream(seed, "coherence", "bootstrap")
    root = _root(kernel, times_s, scale)
    for _ in range(DRAWS):
        scattered = root @ (draws.standard_normal((sizes, 2)) @ np.array([1.0, 1j]) / math.sqrt(2.0))
        made = np.abs(math.sqrt(factor) + scattered) * math.sqrt(mean / (factor + 1.0))
        made = made + errors * draws.standard_normal(sizes)
        _, one, two = _fit(pair, made**2, _power_noise(made**2, errors), (kernel,))
        log_scales.append(math.log(one))
        log_factors.append(math.log(max(two, 1e-2)))
    # Long correlations are underestimated in a short time, by as much as the bootstrap's are.
    scale *= min(3.0, max(1.0 / 3.0, scale / math.exp(float(np.median(log_scales)))))
    wide, steep = (float(np.std(values)) for values in (log_scales, log_factors))
    return Coherence(
        True,
        kernel,
        Estimate(scale, scale * wide, "s"),
        Estimate(factor, max(factor, 0.1) * steep),
        float(np.std(gains)) / math.sqrt(mean),
        span,
    )


def _pairs(times_s: Floats, bins: int) -> tuple[Floats, NDArray[np.intp], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Geometric middle of each bin of lag, the bin of each pair of instants, and the pairs."""
    i, j = np.triu_indices(times_s.size, 1)
    lag = times_s[j] - times_s[i]
    edges = np.geomspace(float(lag.min()) * 0.999, float(lag.max()) * 1.001, bins + 1)
    index = np.clip(np.searchsorted(edges, lag) - 1, 0, bins - 1)
    count = np.maximum(np.bincount(index, minlength=bins), 1)
    middles = np.exp(np.bincount(index, np.log(lag), minlength=bins) / count)
    return middles, index, (i, j)


def _power_noise(power: Floats, errors: Floats) -> Floats:
    return np.asarray(4.0 * power * errors**2 + 2.0 * errors**4)


def _fit(
    pair: tuple[Floats, NDArray[np.intp], tuple[NDArray[np.intp], NDArray[np.intp]]],
    power: Floats,
    noise: Floats,
    kernels: tuple[Kernel, ...] = ("jakes", "exponential"),
) -> tuple[Kernel, float, float]:
    """Kernel, time scale and K that fit the bins of half the mean squared difference best, bins weighed by their relative
    error (the number of pairs, and no more than the independent stretches that they come from)."""
    lags, index, (i, j) = pair
    count = np.bincount(index, minlength=lags.size)
    squares = 0.5 * ((power[i] - power[j]) ** 2 - noise[i] - noise[j])
    measured = np.bincount(index, squares, minlength=lags.size) / np.maximum(count, 1)
    mean = float(power.mean())
    variance = max(float(power.var(ddof=1) - noise.mean()), 1e-12 * mean**2) / mean**2
    root = math.sqrt(max(0.0, 1.0 - variance))
    factor = min(_MOST_K, root / max(1.0 - root, 1e-9))
    best: tuple[float, Kernel, float] | None = None
    kept = count > 0
    for kernel in kernels:
        for scale in np.geomspace(0.3 * lags[kept][0], 2.0 * lags[kept][-1], TIMES):
            r = correlation(kernel, lags, float(scale))
            shape = (2.0 * factor * (1.0 - r) + 1.0 - r**2)[kept]
            weights = count[kept] / (shape + 0.05 * shape.max()) ** 2
            level = float(weights @ (shape * measured[kept])) / float(weights @ shape**2)
            # Without a level of its own the shape could not be told from a deeper or shallower fade.
            misfit = float(weights @ (measured[kept] - level * shape) ** 2) / max(level, 1e-30) ** 2
            if best is None or misfit < best[0]:
                best = (misfit, kernel, float(scale))
    assert best is not None
    return best[1], best[2], factor


def _root(kernel: Kernel, times_s: Floats, scale: float) -> Floats:
    """A square root of the correlation matrix of the scattered gain."""
    matrix = correlation(kernel, np.abs(times_s[:, None] - times_s[None, :]), scale)
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
