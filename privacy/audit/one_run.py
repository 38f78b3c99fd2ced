"""Auditing with one run (Steinke, Nasr, Jagielski, arXiv 2305.08846): many canaries, each in or out by a fair coin, and an
adversary who guesses the coins.

Cheap, because one run serves, and weak, because the canaries hide one another. In zeroth-order training they do so more
than elsewhere: all of them share the one scalar of a round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Floats = NDArray[np.float64]

SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)  # of the canaries that are guessed, the most extreme ones


def chance_of_guesses(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Upper bound of the probability that `right` or more of `guesses` are right under (epsilon, delta)-DP (theorem 5.2
    with its appendix D)."""
    accuracy = 1.0 / (1.0 + math.exp(-epsilon))
    tail = float(binom.sf(right - 1, guesses, accuracy))
    below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, accuracy))
    extra = float(np.max(below / np.arange(1, right + 1), initial=0.0))
    return min(1.0, tail + 2.0 * canaries * delta * extra)


def epsilon_from_guesses(canaries: int, guesses: int, right: int, delta: float, confidence: float) -> float:
    """Largest epsilon that the guesses refute with `confidence`; 0 if none."""
    error = 1.0 - confidence
    if chance_of_guesses(canaries, guesses, right, 0.0, delta) > error:
        return 0.0
    low, high = 0.0, 1.0
    while chance_of_guesses(canaries, guesses, right, high, delta) < error:
        low, high = high, 2.0 * high
    while high - low > 1e-4:
        middle = 0.5 * (low + high)
        if chance_of_guesses(canaries, guesses, right, middle, delta) < error:
            low = middle
        else:
            high = middle
    return low


def one_run_epsilon(scores: Floats, taken: NDArray[np.bool_], delta: float, confidence: float = 0.95) -> float:
    """Lower bound on epsilon from one run.

    scores  (m,) the higher, the likelier the canary was in; the top half of those guessed is guessed in, the bottom half out
    taken   (m,) the coins
    """
    order = np.argsort(scores, kind="stable")
    each = 1.0 - (1.0 - confidence) / len(SHARES)
    best = 0.0
    for share in SHARES:
        side = max(1, int(share * len(scores) / 2))
        right = int(np.count_nonzero(~taken[order[:side]]) + np.count_nonzero(taken[order[-side:]]))
        best = max(best, epsilon_from_guesses(len(scores), 2 * side, right, delta, each))
    return best


def recursion_scores(
    taken: NDArray[np.bool_], rounds: int, rate: float, noise_multiplier: float, rng: np.random.Generator
) -> Floats:
    """(m,) what the weights tell of m canaries after `rounds` zeroth-order rounds, with no other data.

    Canary i's gradient is the clip along weight i, so along a Rademacher direction z its projection is the clip times z_i, and
    the round moves weight i by the scalar's noised mean times z_i. Scores are in units of rate * clip / B.
    """
    moved = np.zeros(len(taken))
    for _ in range(rounds):
        z = rng.integers(0, 2, len(taken)) * 2.0 - 1.0
        part = taken & (rng.random(len(taken)) < rate)
        moved += (z[part].sum() + noise_multiplier * rng.standard_normal()) * z
    return moved


def accuracy(scores: Floats, taken: Sequence[bool] | NDArray[np.bool_]) -> float:
    """Share of coins guessed right when every canary is guessed, those above the median in."""
    return float(np.mean((scores > np.median(scores)) == np.asarray(taken)))
