"""One-bit payloads over a coherent channel (Sign-pAirZero): which rounds should be loud.

Of K votes each is wrong with probability e < 1/2; what arrives is their sum s and noise, and its sign moves the weights.
At SNR u = c^2 / m^2 the drift, probability of a right move less that of a wrong one, is exactly

    f(u) = sum_{s > 0} ( P(s) - P(-s) ) ( 2 Phi(s sqrt(u)) - 1 )

which is concave in u. So  max sum_t w_t f(u_t)  subject to  sum_t 2 u_t <= rho  and  0 <= u_t <= cap_t  is convex: all
rounds not at their cap share one w_t f'(u_t). The paper bounds the sign's error by Cantelli's inequality instead, which
says nothing at its own settings (`paper`; privacy.md sections 1.6 and 2.6). Signs have gamma = 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import SLACK, Floats, largest_level
from privacy.power.water_filling import checked_caps
from radio.errors import InputError

# Of f' on a logarithmic axis; between points of it log u is linear, exactly so for weak signals. An error e of u changes
# the objective by e^2.
_POINTS = 6000


def drift(snr: ArrayLike, devices: int, error: float) -> Floats:
    """f(u) of SNR u (any shape), K devices and error probability `error` of each vote."""
    from scipy.special import erf

    sums, margin = _margins(devices, error)
    u = np.asarray(snr, dtype=np.float64)
    return np.asarray((margin * erf(sums * np.sqrt(0.5 * u)[..., None])).sum(axis=-1))


def drift_slope(snr: ArrayLike, devices: int, error: float) -> Floats:
    """f'(u) = sum_{s > 0} ( P(s) - P(-s) ) s phi(s sqrt(u)) / sqrt(u)."""
    sums, margin = _margins(devices, error)
    u = np.asarray(snr, dtype=np.float64)[..., None]
    return np.asarray((margin * sums * np.exp(-0.5 * sums**2 * u) / np.sqrt(2.0 * np.pi * u)).sum(axis=-1))


def sign_schedule(weights: ArrayLike, caps: ArrayLike, devices: int, error: float, rho: float) -> Floats:
    """(T,) SNR u_t that maximises the weighted drift; sum 2 u_t never exceeds rho.

    weights  (T,) w_t
    caps     (T,) largest u_t (may be infinite)
    devices  K
    error    probability that a vote is wrong, below 1/2 (public knowledge, not measured on private data)
    rho      budget

    Raises InputError for impossible arguments.
    """
    w, cap = checked_caps(weights, caps)
    if cap.sum() <= 0.5 * rho * (1.0 - SLACK):
        return cap.copy()
    # Only u up to the budget matters, and only while a louder round would still gain anything.
    axis = np.linspace(np.log(0.5 * rho) - 80.0, np.log(0.5 * rho), _POINTS)
    with np.errstate(divide="ignore"):
        slope = np.log(drift_slope(np.exp(axis), devices, error))
    gains = slope > -30.0
    axis, slope = axis[gains], slope[gains]
    log_weight = np.log(w / w.max())

    def snr(level: float) -> Floats:
        # w_t f'(u_t) = 1 / level
        u = np.exp(np.interp(np.log(level) + log_weight, -slope, axis))
        return np.asarray(np.minimum(u, cap))

    full = np.minimum(np.exp(axis[-1]), cap)
    if full.sum() <= 0.5 * rho * (1.0 - SLACK):
        return full
    return snr(largest_level(lambda x: float(snr(x).sum()), 0.5 * rho))


def _margins(devices: int, error: float) -> tuple[Floats, Floats]:
    """(n,) positive sums s of K votes, and P(s) - P(-s)."""
    from scipy.special import gammaln, xlog1py, xlogy

    if devices < 1 or not 0.0 <= error < 0.5:
        raise InputError(f"{devices} votes, each wrong with probability {error!r}; allowed: 1 or more, 0 to below 0.5")
    wrong = np.arange((devices + 1) // 2)
    ways = gammaln(devices + 1) - gammaln(wrong + 1) - gammaln(devices - wrong + 1)
    # scipy.stats.binom overflows for the smallest error probabilities
    right_wins = np.exp(ways + xlogy(wrong, error) + xlog1py(devices - wrong, -error))
    wrong_wins = np.exp(ways + xlogy(devices - wrong, error) + xlog1py(wrong, -error))
    margin = right_wins - wrong_wins
    return np.asarray(devices - 2.0 * wrong), np.asarray(margin)
