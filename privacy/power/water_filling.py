"""Trusted receiver, no artificial noise: when to be loud (the paper's theorem 3, corrected).

With u_t = c_t^2 / N0, which is an SNR,

    min sum_t w_t / u_t   subject to   sum_t 2 gamma^2 u_t <= rho,   0 <= u_t <= cap_t

is convex, and its solution fills up to one level: u_t = min( level sqrt(w_t), cap_t ). Every round is at its cap if and
only if that is affordable; the paper tests for it with a factor K that does not belong there (arXiv 2604.12401,
equations 28 and 33; privacy.md section 1.6, E2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import SLACK, Floats, checked_powers, largest_level, snr_caps
from radio.errors import InputError


def water_filling(weights: ArrayLike, caps: ArrayLike, gamma: float, rho: float) -> Floats:
    """(T,) SNR u_t of each round; sum 2 gamma^2 u_t never exceeds rho.

    weights  (T,) w_t > 0
    caps     (T,) largest u_t, above 0 (may be infinite)
    gamma    the clip: one device's payload moves by at most 2 gamma
    rho      budget

    Raises InputError for impossible arguments.
    """
    w, cap = checked_caps(weights, caps)
    budget = rho / (2.0 * gamma**2)
    if cap.sum() <= budget * (1.0 - SLACK):
        return cap.copy()
    root = np.sqrt(w)
    root /= root.max()
    level = largest_level(lambda x: float(np.minimum(x * root, cap).sum()), budget)
    return np.minimum(level * root, cap)


def water_filling_mean_power(
    weights: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    rho: float,
    mean_share: ArrayLike,
) -> Floats:
    """(T,) SNR u_t of each round under a peak and a mean power for every device.

        sum_t gamma^2 N0 / (P_k |h_kt|^2) u_t <= T mean_share_k   for every k

    is linear in u, so u_t = min( sqrt( w_t / (2 gamma^2 zeta + sum_k lambda_k gamma^2 N0 / (P_k |h_kt|^2)) ), cap_t ). The
    K + 1 multipliers maximise the dual, which is smooth and concave (L-BFGS-B); the result is scaled into the
    constraints, so budget and powers always hold.

    received_power  (T, K) P_k |h_kt|^2
    noise_variance  N0 per real dimension
    mean_share      mean over peak power, one number or (K,)
    """
    from scipy.optimize import minimize

    power = checked_powers(received_power, gamma, noise_variance, rho)
    w, cap = checked_caps(weights, snr_caps(power, gamma, noise_variance))
    share = np.broadcast_to(np.asarray(mean_share, dtype=np.float64), power.shape[1:])
    if not ((share > 0.0) & (share <= 1.0)).all():
        raise InputError(f"the mean over the peak power is {mean_share!r}; allowed: above 0, at most 1")
    rows = np.empty((power.shape[1] + 1, w.size))  # every constraint as rows @ u <= 1
    rows[0] = 2.0 * gamma**2 / (rho * (1.0 - SLACK))
    rows[1:] = gamma**2 * noise_variance / (power * share * w.size * (1.0 - SLACK)).T
    unit = 1.0 / rows.sum(axis=1).max()  # a constant u that is feasible: everything below is of order 1
    rows, limit, w = rows * unit, cap / unit, w / w.sum()

    def snr(multipliers: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.minimum(np.sqrt(w / (multipliers @ rows)), limit)

    def negative_dual(multipliers: Floats) -> tuple[float, Floats]:
        u = snr(multipliers)
        used = rows @ u
        return float(multipliers.sum() - (w / u).sum() - multipliers @ used), 1.0 - used

    start = np.full(rows.shape[0], 1.0 / rows.shape[0])
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 0.0, "gtol": 1e-9, "maxcor": 30}
    best = minimize(
        negative_dual, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * start.size, options=options
    )
    u = snr(best.x)
    return np.asarray(u * unit / max(1.0, float((rows @ u).max())))


def checked_caps(weights: ArrayLike, caps: ArrayLike) -> tuple[Floats, Floats]:
    """Both as floats (T,), or InputError."""
    w, cap = np.asarray(weights, dtype=np.float64), np.asarray(caps, dtype=np.float64)
    if w.ndim != 1 or w.shape != cap.shape or w.size == 0:
        raise InputError(f"weights have shape {w.shape}, caps {cap.shape}; allowed: both (T,), T at least 1")
    if not (np.isfinite(w).all() and (w > 0.0).all() and (cap > 0.0).all()):
        raise InputError(
            "a weight or a cap of a round is 0, negative or not a number; leave such rounds out of the plan"
        )
    return w, cap
