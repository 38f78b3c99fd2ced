"""A lower bound on epsilon from what an adversary can tell apart: samples of one statistic in two neighbouring worlds.

Half of the samples choose thresholds, the other half measures both error rates there, and Clopper-Pearson bounds them
from above. Two readings of the rates follow.

* **Counting alone** (Kairouz et al., arXiv 1311.0776): epsilon >= log((1 - fn - delta) / fp), and with the worlds
  swapped. It assumes nothing, but at delta = 1e-5 it cannot show much more than log of the number of samples, and for
  a Gaussian of epsilon 5 it shows about 3.
* **Within a family** (Nasr et al., arXiv 2302.07956): the claim names its mechanism, so ask which noise the same
  mechanism may at most have had to allow these rates, and convert that noise into epsilon at delta. With the claimed
  mechanism true it comes close to the claim; above the claim it refutes it, whatever the mechanism really is, because
  the claim covers the whole trade-off curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

Samples = NDArray[np.float64]

CANDIDATES = 100  # quantiles of the first half that are looked at as thresholds
BOUNDS = 6  # one-sided bounds that hold together: two error rates at each of three thresholds


@dataclass(frozen=True)
class Rates:
    """Upper bounds of the error rates of "world 1 if the statistic is above the threshold"."""

    false_positive: float
    false_negative: float

    def counting(self, delta: float) -> float:
        """Epsilon shown at `delta` by these rates alone, whichever world is called the first; 0 at least."""
        pairs = ((self.false_positive, self.false_negative), (self.false_negative, self.false_positive))
        ratios = [(1.0 - missed - delta) / wrong for wrong, missed in pairs]
        return max(0.0, *(math.log(ratio) if ratio > 0.0 else 0.0 for ratio in ratios))

    @property
    def gaussian_mu(self) -> float:
        """mu of the Gaussian trade-off curve through the rates (Dong, Roth, Su, arXiv 1905.02383); 0 at least."""
        return max(0.0, float(norm.isf(self.false_positive) - norm.ppf(self.false_negative)))


def clopper_pearson_upper(hits: NDArray[np.int64] | int, trials: int, error: float) -> NDArray[np.float64]:
    """Exact upper bound of a probability after `hits` of `trials`, wrong with probability at most `error`."""
    counts = np.asarray(hits)
    return np.where(counts >= trials, 1.0, beta.isf(error, counts + 1.0, np.maximum(trials - counts, 1)))


def error_rates(zero: Samples, one: Samples, delta: float, confidence: float = 0.95) -> tuple[Rates, ...]:
    """Rates at three thresholds: where both errors are alike, and the best for counting alone in either direction.

    zero, one  (2 n,) samples of the statistic, large where world 1 is likely; the first halves choose thresholds
    returns    three pairs, all six bounds true together with probability `confidence`
    """
    error = (1.0 - confidence) / BOUNDS
    half_zero, half_one = len(zero) // 2, len(one) // 2
    thresholds = _thresholds(zero[:half_zero], one[:half_one], delta, error)
    return tuple(_rates(zero[half_zero:], one[half_one:], thresholds, error))


def gaussian_mu_lower(rates: tuple[Rates, ...]) -> float:
    """Largest mu shown by any of the rates."""
    return max(pair.gaussian_mu for pair in rates)


def counting_lower(rates: tuple[Rates, ...], delta: float) -> float:
    """Largest epsilon shown by counting alone."""
    return max(pair.counting(delta) for pair in rates)


Profile = Callable[[NDArray[np.float64]], NDArray[np.float64]]

EPSILONS = np.concatenate([np.linspace(0.0, 2.0, 16, endpoint=False), np.geomspace(2.0, 60.0, 24)])


def allowed(rates: Rates, profile: Profile) -> bool:
    """Whether a mechanism whose delta(epsilon) is `profile` lets anybody do as well as these rates, at any epsilon and
    in both directions."""
    deltas = profile(EPSILONS)
    factor = np.exp(EPSILONS)
    fp, fn = rates.false_positive, rates.false_negative
    return bool(np.all(1.0 - fn <= factor * fp + deltas) and np.all(1.0 - fp <= factor * fn + deltas))


def scale_upper(
    rates: tuple[Rates, ...], profile: Callable[[float], Profile], low: float = 0.25, high: float = 100.0
) -> float:
    """Largest factor on the claimed noise with which the mechanism still allows all the rates, 0.2 % too large at most.

    profile  the mechanism's delta(epsilon) with its noise scaled by a factor; falls as the factor grows
    returns  within [low, high]: `high` where the rates show nothing, `low` where even so little noise is too much for them
    """

    def fits(factor: float) -> bool:
        return all(allowed(pair, profile(factor)) for pair in rates)

    # Most audits end near 1: step out from there, in steps that grow, until the answer is between two factors.
    inside, step = fits(1.0), 1.05
    below, above = (1.0, high) if inside else (low, 1.0)
    while True:
        guess = below * step if inside else above / step
        if not low < guess < high:
            end = high if inside else low
            if fits(end) == inside:
                return end
            break
        if fits(guess) != inside:
            below, above = (below, guess) if inside else (guess, above)
            break
        below, above = (guess, above) if inside else (below, guess)
        step *= step
    while above / below > 1.002:
        middle = math.sqrt(below * above)
        below, above = (middle, above) if fits(middle) else (below, middle)
    return above


def _thresholds(zero: Samples, one: Samples, delta: float, error: float) -> Samples:
    pooled = np.concatenate([zero, one])
    candidates = np.unique(np.quantile(pooled, np.linspace(0.0, 1.0, CANDIDATES + 1)))
    looked = _rates(zero, one, candidates, error)
    up = [math.log(max(1.0 - r.false_negative - delta, 1e-300) / r.false_positive) for r in looked]
    down = [math.log(max(1.0 - r.false_positive - delta, 1e-300) / r.false_negative) for r in looked]
    # Both errors alike is close to the best for a Gaussian, and steadier than the best of noisy figures.
    balanced = int(np.argmin([abs(r.false_positive - r.false_negative) for r in looked]))
    best = [balanced, int(np.argmax(up)), int(np.argmax(down))]
    return candidates[best]


def _rates(zero: Samples, one: Samples, thresholds: Samples, error: float) -> list[Rates]:
    above = len(zero) - np.searchsorted(np.sort(zero), thresholds, side="right")
    below = np.searchsorted(np.sort(one), thresholds, side="right")
    false_positive = clopper_pearson_upper(above, len(zero), error)
    false_negative = clopper_pearson_upper(below, len(one), error)
    return [Rates(float(fp), float(fn)) for fp, fn in zip(false_positive, false_negative, strict=True)]
