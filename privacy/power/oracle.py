"""The programs of this package for a solver (cvxpy): what the closed forms are tested against, and the cases without one.

`robust` is a second-order cone program (general C with unequal noise), `trusted` its case without artificial noise,
`geometric` a geometric program (mean power with artificial noise of a fixed split, Na = 0), `sign_upper_bound` a
sequence of linear programs. Everything is scaled to order 1 before the solver sees it. What a solver returns keeps its
constraints only to its tolerance, so schedules are scaled back into them.

cvxpy takes a second to import and is imported on first use only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.kinked import NoisePlan
from privacy.power.schedule import SLACK, Floats, checked_powers, snr_caps
from privacy.power.sign import drift, drift_slope
from radio.errors import InputError

TOLERANCE = 1e-10


def trusted(
    weights: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    rho: float,
    mean_share: ArrayLike | None = None,
) -> Floats:
    """(T,) SNR u_t of `water_filling`, or of `water_filling_mean_power` where `mean_share` is given."""
    import cvxpy as cp

    power = checked_powers(received_power, gamma, noise_variance, rho)
    rounds = power.shape[0]
    cap = snr_caps(power, gamma, noise_variance)
    unit = np.minimum(rho / (2.0 * gamma**2 * rounds), cap)
    rows = (2.0 * gamma**2 / rho * unit)[None, :]
    if mean_share is not None:
        share = np.broadcast_to(np.asarray(mean_share, dtype=np.float64), power.shape[1:])
        rows = np.vstack([rows, (gamma**2 * noise_variance * unit[:, None] / (power * share * rounds)).T])
    # Where a mean power forbids even a part of the unit, everything is smaller by that part.
    part = min(1.0, 1.0 / float(rows.sum(axis=1).max()))
    unit, rows = unit * part, rows * part
    v = cp.Variable(rounds, pos=True)
    # a cap that no budget reaches only spoils the scaling
    constraints = [v <= np.minimum(cap / unit, 2.0 / rows[0])] + [row @ v <= 1.0 for row in rows]
    _solve(cp.Problem(cp.Minimize(_normalised(np.asarray(weights) / unit) @ cp.inv_pos(v)), constraints))
    u = np.minimum(np.asarray(v.value), cap / unit)
    return np.asarray(u * unit * (1.0 - SLACK) / max(1.0, float((rows @ u).max())))


def robust(
    weights: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    trusted_noise: float,
    rho: float,
    colluders: int = 0,
) -> NoisePlan:
    """The schedule of least weighted error against any C colluders, devices' noise as unequal as their channels.

        min sum_t w_t ( sum_k s_kt + N0 y_t )
        subject to  sum_t 2 gamma^2 / ( sum_k s_kt - (sum of the C largest s_kt) + Na y_t ) <= rho
                    gamma^2 + s_kt <= P_k |h_kt|^2 y_t,   s_kt >= 0

    Arguments as `kinked.kinked_water_filling`.
    """
    import cvxpy as cp

    power = checked_powers(received_power, gamma, noise_variance, rho)
    rounds, devices = power.shape
    if not 0 <= colluders < devices:
        raise InputError(f"{colluders} colluders of {devices} devices; allowed: 0 to one less than the devices")
    w = _normalised(weights)
    unit = 2.0 * gamma**2 * rounds / rho  # n of a flat schedule
    # y of each round in the order of what it will be: full power, or the flat schedule's noise
    y_unit = gamma**2 / power.min(axis=1) + unit / (power.sum(axis=1) + trusted_noise)
    s, y = cp.Variable((rounds, devices), nonneg=True), cp.Variable(rounds, nonneg=True)
    honest = cp.sum(s, axis=1) + cp.multiply(trusted_noise * y_unit / unit, y)
    if colluders:
        honest = honest - cp.hstack([cp.sum_largest(s[t], colluders) for t in range(rounds)])
    price = w @ cp.sum(s, axis=1) + (w * noise_variance * y_unit / unit) @ y
    constraints = [cp.sum(cp.inv_pos(honest)) / rounds <= 1.0]
    for k in range(devices):
        arrives = power[:, k] * y_unit / unit
        scale = np.maximum(1.0, arrives)
        constraints.append(
            cp.multiply(1.0 / scale, s[:, k]) + gamma**2 / (unit * scale) <= cp.multiply(arrives / scale, y)
        )
    _solve(cp.Problem(cp.Minimize(price), constraints))
    return _inside(
        np.maximum(np.asarray(s.value), 0.0) * unit,
        np.asarray(y.value) * y_unit,
        power,
        gamma,
        trusted_noise,
        rho,
        colluders,
    )


def geometric(
    weights: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    rho: float,
    mean_share: ArrayLike,
    split: ArrayLike,
) -> NoisePlan:
    """Peak and mean power with artificial noise only (Na = 0), device k making the share split_k of it.

        min sum_t w_t ( n_t + N0 y_t )   subject to   sum_t 2 gamma^2 / n_t <= rho,
            (gamma^2 + split_k n_t) / (P_k |h_kt|^2 y_t) <= 1, its mean over t <= mean_share_k

    is a geometric program: posynomials in n and y. It also is a safe inner design for Na > 0, which is not one.

    split       (K,) above 0, adding up to 1
    mean_share  mean over peak power, one number or (K,)
    """
    import cvxpy as cp

    power = checked_powers(received_power, gamma, noise_variance, rho)
    rounds, devices = power.shape
    theta = np.asarray(split, dtype=np.float64)
    if theta.shape != (devices,) or not (theta > 0.0).all() or abs(theta.sum() - 1.0) > 1e-9:
        raise InputError(f"the split of the noise is {split!r}; allowed: ({devices},), above 0, adding up to 1")
    share = np.broadcast_to(np.asarray(mean_share, dtype=np.float64), (devices,))
    w = _normalised(weights)
    unit = 2.0 * gamma**2 * rounds / rho
    y_unit = (gamma**2 + unit / devices) / power.min(axis=1)
    n, y = cp.Variable(rounds, pos=True), cp.Variable(rounds, pos=True)
    price = cp.sum(cp.multiply(w, n)) + cp.sum(cp.multiply(w * noise_variance * y_unit / unit, y))
    constraints = [cp.sum(n**-1.0) / rounds <= 1.0]
    for k in range(devices):
        arrives = power[:, k] * y_unit
        used = cp.multiply(gamma**2 / arrives, y**-1.0) + cp.multiply(
            theta[k] * unit / arrives, cp.multiply(n, y**-1.0)
        )
        constraints += [used <= 1.0, cp.sum(used) / (rounds * share[k]) <= 1.0]
    _solve(cp.Problem(cp.Minimize(price), constraints), gp=True)
    noise, inverse = np.asarray(n.value) * unit, np.asarray(y.value) * y_unit
    made = noise[:, None] * theta
    used = (gamma**2 + made) / (power * inverse[:, None])
    inverse = inverse * max(1.0, float((used.mean(axis=0) / share).max()))  # mean power, by sending less of everything
    return _inside(made, inverse, power, gamma, 0.0, rho, 0)


def sign_upper_bound(
    weights: ArrayLike, caps: ArrayLike, devices: int, error: float, rho: float, sweeps: int = 8
) -> float:
    """An upper bound of the weighted drift of any schedule within the budget, for `sign.sign_schedule`.

    f is concave, so its tangents bound it from above: each linear program adds tangents where the last one ended, and
    the bound falls to the optimum (Kelley's cutting planes).
    """
    import cvxpy as cp

    w, cap = np.asarray(weights, dtype=np.float64), np.asarray(caps, dtype=np.float64)
    rounds, unit = w.size, 0.5 * rho / w.size
    limit = np.minimum(cap / unit, rounds)
    at = np.tile(np.geomspace(1e-4, rounds, 60), (rounds, 1))  # (T, tangents) points in units of a flat schedule
    best = float("inf")
    for _ in range(sweeps):
        v, value = cp.Variable(rounds, nonneg=True), cp.Variable(rounds)
        height, slope = drift(at * unit, devices, error), drift_slope(at * unit, devices, error) * unit
        size = float(height.max())
        constraints = [cp.sum(v) / rounds <= 1.0, v <= limit]
        constraints += [
            value <= (height[:, j] - slope[:, j] * at[:, j]) / size + cp.multiply(slope[:, j] / size, v)
            for j in range(at.shape[1])
        ]
        problem = cp.Problem(cp.Maximize(w @ value), constraints)
        problem.solve(solver=cp.HIGHS)
        if problem.status not in ("optimal", "optimal_inaccurate"):
            raise InputError(f"the solver says {problem.status}; check weights, caps and budget")
        best = min(best, float(problem.value) * size)
        at = np.column_stack([at, np.maximum(np.asarray(v.value), 1e-9)])
    return best


def _solve(problem: Any, gp: bool = False) -> None:
    import warnings

    import cvxpy as cp

    tight = {"tol_gap_abs": TOLERANCE, "tol_gap_rel": TOLERANCE, "tol_feas": TOLERANCE, "max_iter": 500}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")  # the caller scales it to be feasible
        problem.solve(solver=cp.CLARABEL, gp=gp, **tight)
    if problem.status not in ("optimal", "optimal_inaccurate"):
        raise InputError(f"the solver says {problem.status}; check weights, powers and budget")


def _normalised(weights: ArrayLike) -> Floats:
    w = np.asarray(weights, dtype=np.float64)
    return np.asarray(w / w.sum())


def _inside(
    made: Floats, inverse: Floats, power: Floats, gamma: float, trusted_noise: float, rho: float, colluders: int
) -> NoisePlan:
    """The schedule scaled so that powers and budget hold exactly: noise and 1/c^2 together leave every power no larger."""
    short = (gamma**2 + made) / (power * inverse[:, None])
    inverse = inverse * np.maximum(1.0, short.max(axis=1))
    largest = np.sort(made, axis=1)[:, made.shape[1] - colluders :].sum(axis=1)
    noise = made.sum(axis=1) - largest + trusted_noise * inverse
    spent = float((2.0 * gamma**2 / noise).sum())
    factor = max(1.0, spent / (rho * (1.0 - SLACK)))
    return NoisePlan(noise * factor, inverse * factor, made * factor)
