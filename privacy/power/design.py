"""The number of rounds T and the contraction factor A as choices, and how much a wrong A costs.

With a budget B = rho / (2 gamma^2) of SNR spent as u_t = B a^(T-t) / sum_j a^j, a = sqrt(A) (water-filling without
caps), the bound on the loss still to go after T rounds (arXiv 2604.12401, theorem 1 with the additive noise term of
privacy.md section 1.6, E3) is

    G(T) = a^(2T) G0 + N ( (1 - a^T) / (1 - a) )^2

where N is the error that one round would add if it alone had the whole budget. It has its least value where
a^T = N' / (G0 + N'), N' = N / (1 - a)^2: more rounds only spread the budget over steps that are forgotten.

A schedule designed for A spends late, ever later for smaller A. If the true factor is nearer to 1, the early rounds,
starved of SNR, are not forgotten; their noise stays, and with a long run it is the end of it. Erring towards A = 1 costs
little.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import Floats, round_weights
from radio.errors import InputError

WARN_DB = 1.0  # a schedule that loses more than this to 1 - A being half of what was assumed is called sensitive


def one_round_error(gamma: float, rho: float, devices: int, rate: float, curvature: float) -> float:
    """N: error that one round adds to the loss if it has the whole budget.

        N = eta^2 tr(H) / 2 * 2 gamma^2 / (rho K^2)

    The mean of K payloads then has noise of variance 2 gamma^2 / (rho K^2), along a direction of unit variance a weight.

    rate       eta
    curvature  tr(H), or its bound L r (largest eigenvalue times effective rank)
    """
    return 0.5 * rate**2 * curvature * 2.0 * gamma**2 / (rho * devices**2)


def best_rounds(contraction: float, start: float, one_round: float) -> int:
    """T of the least bound, at least 1.

    contraction  A, below 1
    start        G0, loss to go at the start
    one_round    N of `one_round_error`
    """
    _check_contraction(contraction)
    if not (start > 0.0 and one_round > 0.0):
        raise InputError(f"the start is {start!r}, a round's error {one_round!r}; allowed: above 0")
    a = math.sqrt(contraction)
    noise = one_round / (1.0 - a) ** 2
    best = math.log(noise / (start + noise)) / math.log(a)
    floor = max(1, math.floor(best))
    return min((floor, floor + 1), key=lambda t: bound(t, contraction, start, one_round))


def bound(rounds: int, contraction: float, start: float, one_round: float) -> float:
    """G(T), arguments as `best_rounds`."""
    a = math.sqrt(contraction)
    spread = float(rounds) if a == 1.0 else (1.0 - a**rounds) / (1.0 - a)
    return a ** (2 * rounds) * start + one_round * spread**2


def excess_db(snr: ArrayLike, contraction: float, rates: ArrayLike = 1.0) -> float:
    """How far the weighted error of a schedule u_t, (T,), is from the best of the same total SNR if the true factor is A, dB.

    sum_t w_t / u_t against ( sum_t sqrt(w_t) )^2 / sum_t u_t.

    rates  (T,) learning rates eta_t, where they vary: weights are eta_t^2 A^(T-t)
    """
    u = np.asarray(snr, dtype=np.float64)
    w = round_weights(u.size, contraction) * np.asarray(rates, dtype=np.float64) ** 2
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10((w / u).sum() * u.sum() / np.sqrt(w).sum() ** 2))


def sensitivity_db(snr: ArrayLike, contraction: float, factor: float = 2.0, rates: ArrayLike = 1.0) -> float:
    """Loss of the schedule, dB, if 1 - A is really `factor` times smaller than `contraction` says.

    Beyond what it loses where the assumed A is right, so that caps of the channel do not count. If A is smaller than
    assumed, the error itself only falls.
    """
    _check_contraction(contraction)
    if not factor >= 1.0:
        raise InputError(f"factor is {factor!r}; allowed: 1 or more")
    return excess_db(snr, 1.0 - (1.0 - contraction) / factor, rates) - excess_db(snr, contraction, rates)


def sensitivity_warning(snr: ArrayLike, contraction: float, rates: ArrayLike = 1.0) -> str:
    """What to tell somebody whose schedule, (T,) SNR, hangs on A; "" for one that does not."""
    lost = sensitivity_db(snr, contraction, rates=rates)
    if lost <= WARN_DB:
        return ""
    u: Floats = np.asarray(snr, dtype=np.float64)
    late = int(np.searchsorted(np.cumsum(u[::-1]), 0.9 * u.sum())) + 1
    return (
        f"the noise schedule is sensitive to the contraction factor A = {contraction:g}: if 1 - A is half of what "
        f"was assumed, the bound is {lost:.1f} dB worse, and more if it is less (90 % of the budget lies in the last "
        f"{late} of {u.size} rounds). Take A nearer to 1, a flat schedule, or fewer rounds"
    )


def _check_contraction(contraction: float) -> None:
    if not 0.0 < contraction < 1.0:
        raise InputError(f"the contraction factor of a round is {contraction!r}; allowed: above 0 and below 1")
