"""Noise fixed before the run, whatever the channel will be: which rounds get less of it.

The mean of a round's payloads carries noise of variance z_t^2, up to a constant, and what is left of it in the end weighs
w_t. A round of multiplier z = 1 / sqrt(u) and sampling rate q costs q^2 (e^u - 1) of mu*^2 in the central limit (Bu, Dong,
Long and Su, arXiv 1911.11607), or u without sampling. So

    min sum_t w_t / u_t   subject to   sum_t cost(u_t) <= mu*^2

is convex, and all rounds share one level x:

    u_t = x sqrt(w_t)   without sampling,      u_t e^(u_t / 2) = x sqrt(w_t)   with it: u_t = 2 W(x sqrt(w_t) / 2), Lambert's W.

The limit only shapes the schedule; its size is the accountant's (`privacy.schedule`). Nothing private enters, and no
channel: this is what own noise can do, for there the channel sets amplitudes and who takes part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import Floats, largest_level
from radio.errors import InputError

# Of the largest weight: rounds that weigh less get no more noise, at most 100 times the least.
LEAST_WEIGHT = 1e-8


def noise_shape(weights: ArrayLike, rate: float, mu: float) -> Floats:
    """(T,) noise multipliers z_t that cost mu^2 together in the central limit, at the least weighted error.

    weights  (T,) w_t, 0 or more, not all 0
    rate     q
    mu       of the budget

    Raises InputError for impossible arguments.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or w.size == 0 or not (np.isfinite(w).all() and w.min() >= 0.0 and w.max() > 0.0):
        raise InputError(f"weights have shape {w.shape}; allowed: one a round, finite, 0 or more and not all 0")
    if not (0.0 < rate <= 1.0 and mu > 0.0):
        raise InputError(f"sampling rate {rate!r}, mu {mu!r}; allowed: above 0, the rate at most 1")
    root = np.sqrt(np.maximum(w / w.max(), LEAST_WEIGHT))
    if rate == 1.0:
        return np.asarray(np.sqrt(root.sum() / root) / mu)
    from scipy.special import lambertw

    def power(level: float) -> Floats:
        return np.asarray(2.0 * lambertw(0.5 * level * root).real)

    def cost(level: float) -> float:
        return float(np.expm1(np.minimum(power(level), 700.0)).sum())

    return np.asarray(power(largest_level(cost, (mu / rate) ** 2, 1e-9)) ** -0.5)
