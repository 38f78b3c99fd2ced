"""The privacy loss distribution of one subsampled Gaussian round: dp-accounting's, built from whole arrays.

dp-accounting inverts the loss one point at a time in Python, a hundred thousand points for a round, so that sizing the noise
of a run took five seconds.  The formulas here are the library's (`AdditiveNoisePrivacyLoss._inverse_privacy_loss_add` and
`_remove`, with `log_a_times_exp_b_plus_c`), the bounds, the rounding to connected dots (Doroshenko et al., arXiv 2207.04380)
and everything that is composed afterwards are the library itself; tests hold the two against each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gaussian_loss(multiplier: float, rate: float, interval: float) -> Any:
    """`privacy_loss_distribution.from_gaussian_mechanism` for adding or removing an example, pessimistic, of unit sensitivity.

    multiplier  standard deviation of the noise over the sensitivity, above 0
    rate        of Poisson sampling, above 0, at most 1
    interval    width of the bins of losses
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld import privacy_loss_distribution as pld
    from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, GaussianPrivacyLoss

    def connected(adjacency: AdjacencyType) -> pld_pmf.PLDPmf:
        mechanism = GaussianPrivacyLoss(multiplier, sampling_prob=rate, adjacency_type=adjacency)
        bounds = mechanism.connect_dots_bounds()
        low, high = math.floor(bounds.epsilon_lower / interval), math.ceil(bounds.epsilon_upper / interval)
        losses = np.arange(low, high + 1) * interval
        if adjacency is AdjacencyType.REMOVE:
            deltas, possible = -np.expm1(np.minimum(losses, 0.0)), losses > math.log1p(-rate)
            points = -0.5 - _without_sampling(losses[possible], rate) * multiplier**2
        else:
            deltas, possible = np.zeros(len(losses)), losses < -math.log1p(-rate)
            points = 0.5 + _without_sampling(-losses[possible], rate) * multiplier**2
        deltas[possible] = mechanism.mu_upper_cdf(points) - np.exp(
            losses[possible] + mechanism.mu_lower_log_cdf(points)
        )
        return pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(interval, low, high, np.clip(deltas, 0.0, 1.0))

    if rate == 1.0:
        return pld.from_gaussian_mechanism(multiplier, value_discretization_interval=interval)
    return pld.PrivacyLossDistribution(connected(AdjacencyType.REMOVE), connected(AdjacencyType.ADD))


def _without_sampling(losses: Array, rate: float) -> Array:
    """log(1 + (exp(loss) - 1) / rate), for losses above log(1 - rate)."""
    high, low = losses - math.log(rate), math.log(1.0 / rate - 1.0)
    with np.errstate(divide="ignore"):  # at the bound itself the logarithm is minus infinity, as it should be
        return high + np.log1p(-np.exp(np.minimum(low - high, 0.0)))
