"""Gaussian differential privacy: the trade-off of telling N(0, 1) from N(mu, 1), in closed form.

Rounds without sampling compose to exactly this, mu^2 adding up (Dong, Roth, Su, arXiv 1905.02383, corollary 3.3); epsilon and
delta follow from Balle and Wang (arXiv 1805.06530, theorem 8). Nothing tighter can be said of an observer who sees all rounds.
"""

from __future__ import annotations

import math
from functools import lru_cache

from radio.errors import InputError

SMALLEST_DELTA = 1e-10  # below it the rounding of the FFTs of sampled rounds is no longer negligible


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon of a mu-GDP mechanism: delta = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu) (Balle and Wang).

    Rounded up.
    """
    if mu <= 0.0 or gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:  # `high` always satisfies the inequality
        middle = 0.5 * (low + high)
        if gaussian_delta(mu, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def largest_mu(epsilon: float, delta: float) -> float:
    """Largest mu for which a mu-GDP mechanism is (epsilon, delta)-DP, the inverse of `gaussian_epsilon`; rounded down.

    The whole budget of a run without sampling: the sum over its rounds of (sensitivity / noise)^2 may reach mu^2, and
    rho* = mu^2 / 2 in the units of zero-concentrated differential privacy. Raises InputError for impossible arguments.
    """
    check_target(epsilon)
    check_delta(delta)
    return _largest_mu(float(epsilon), float(delta))


@lru_cache(maxsize=256)
def _largest_mu(epsilon: float, delta: float) -> float:
    low, high = 0.0, 1.0
    while gaussian_delta(high, epsilon) <= delta:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        if gaussian_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle
    return low * (1.0 - 1e-11)  # so that `gaussian_epsilon`, which rounds up, stays at or below epsilon


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of a mu-GDP mechanism at `epsilon` (same equation); in logarithms, because e^eps alone overflows."""
    from scipy.special import log_ndtr

    first = float(log_ndtr(0.5 * mu - epsilon / mu))
    second = epsilon + float(log_ndtr(-0.5 * mu - epsilon / mu))
    return math.exp(first) * -math.expm1(min(0.0, second - first))


def check_delta(delta: float) -> None:
    """Raises InputError for a delta that nothing here can certify."""
    if not SMALLEST_DELTA <= delta < 1.0:
        raise InputError(
            f"delta is {delta!r}; allowed: {SMALLEST_DELTA} to below 1, of which at most 1 over the number of "
            "examples makes sense"
        )


def check_target(target: float) -> None:
    """Raises InputError for an impossible epsilon."""
    if not (math.isfinite(target) and target > 0.0):
        raise InputError(f"epsilon is {target!r}; allowed: finite and above 0 (0.5 to 10 are usual)")
