"""Tests of running code where a simulated transcript would assume what is to be tested.

Each takes what the code did (batches drawn, noise released, numbers sent) and says whether that is what was accounted for.
Every test of a correct device raises a false alarm with a probability of at most `ALARM`, or never.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

Floats = NDArray[np.float64]

ALARM = 1e-6


@dataclass(frozen=True)
class Check:
    """Outcome of one test; `found` is a short sentence with its figures."""

    flagged: bool
    found: str


def noise_variance(noise: Floats, claimed_std: float) -> Check:
    """Is the noise as strong as claimed? Chi-square test of its second moment; only too weak is a fault."""
    ratio = float(np.mean(noise**2)) / claimed_std**2
    p = float(chi2.cdf(ratio * noise.size, noise.size))
    return Check(p < ALARM, f"variance {ratio:.3f} of the claimed one in {noise.size:,} draws, p = {p:.2g}")


def noise_is_secret(first: Floats, second: Floats, guesses: Iterable[Floats]) -> Check:
    """Can the noise be had from anything public?

    first, second  (n,) noise of two runs of the same experiment and seed
    guesses        (n,) what an observer computes from public seeds
    """
    if np.array_equal(first, second):
        return Check(True, "the same seed gave the same noise twice")
    compared = [second, *guesses]
    largest = max(abs(float(np.corrcoef(first, other)[0, 1])) for other in compared)
    # Correlation of independent Gaussian samples, by Fisher's transformation; one test for every guess.
    limit = math.tanh(norm.isf(ALARM / (2 * len(compared))) / math.sqrt(len(first) - 3))
    return Check(largest > limit, f"largest correlation with a public stream {largest:.3f}, limit {limit:.3f}")


def poisson_sampling(taken: NDArray[np.bool_], rate: float) -> Check:
    """Does every example toss its own coin every round? Dispersion of batch sizes, and of inclusions per epoch.

    taken  (rounds, examples) who took part
    rate   q that was charged

    A shuffled loader has batches of one size and every example once an epoch; both dispersions are then zero, where
    independent coins give 1. A wrong rate shows in the mean.
    """
    rounds, examples = taken.shape
    epoch = max(2, round(1.0 / rate))
    whole = taken[: rounds // epoch * epoch].reshape(-1, epoch, examples).sum(axis=1)
    figures = {
        "mean batch": _z_mean(taken.sum(axis=1), examples, rate),
        "batch size": _z_dispersion(taken.sum(axis=1), examples, rate),
        "inclusions per epoch": _z_dispersion(whole.ravel(), epoch, rate),
    }
    limit = float(norm.isf(ALARM / (2 * len(figures))))
    worst = max(figures, key=lambda name: abs(figures[name][1]))
    ratio, z = figures[worst]
    what = "mean" if worst == "mean batch" else f"variance of {worst}"
    return Check(abs(z) > limit, f"{what} {ratio:.3f} of Poisson's, {abs(z):.1f} standard errors")


def _z_mean(counts: NDArray[np.int64], trials: int, rate: float) -> tuple[float, float]:
    expected = trials * rate
    return float(counts.mean()) / expected, float(
        (counts.mean() - expected) / math.sqrt(expected * (1 - rate) / len(counts))
    )


def _z_dispersion(counts: NDArray[np.int64], trials: int, rate: float) -> tuple[float, float]:
    """(ratio, standard errors) of the variance of Binomial(trials, rate) counts about their known mean."""
    variance = trials * rate * (1.0 - rate)
    fourth = variance * (1.0 + 3.0 * (trials - 2) * rate * (1.0 - rate))  # central moment of a binomial
    ratio = float(np.mean((counts - trials * rate) ** 2)) / variance
    error = math.sqrt((fourth - variance**2) / len(counts)) / variance
    return ratio, (ratio - 1.0) / error


def sensitivity(clean: Callable[[Floats], Floats], batches: Sequence[Floats], claimed: float) -> Check:
    """Does no example move the noise-free payload further than claimed? Every example is left out once.

    clean    per-example projections (n, P) -> payload (P,)
    batches  projections to try, hostile ones included
    """
    furthest = max(
        float(np.linalg.norm(clean(values) - clean(np.delete(values, i, axis=0))))
        for values in batches
        for i in range(len(values))
    )
    # One part in 10^9 is the rounding of grid steps into floats; the integers themselves obey exactly.
    return Check(
        furthest > claimed * (1 + 1e-9), f"an example moved the payload by {furthest / claimed:.3f} of the claim"
    )


def charged_rounds(transmitted: int, charged: int) -> Check:
    """Was every transmission charged?"""
    return Check(transmitted > charged, f"{transmitted} rounds on the air, {charged} charged")


def same_bits(whole: Floats, alone: Floats) -> Check:
    """Has every example the same loss, to the last bit, with and without batch-mates? Both (n,)."""
    differ = int(np.count_nonzero(whole != alone))
    largest = float(np.max(np.abs(whole - alone), initial=0.0))
    found = f"{differ} of {len(whole)} losses changed" + (f", by up to {largest:.2g}" if differ else "")
    return Check(differ > 0, found)
