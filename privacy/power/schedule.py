"""What the rules that spread a budget over a run share.

Received in alignment, round t's sum has amplitude c_t per unit of payload. In payload units the noise an adversary
faces has variance n_t, and one round costs 2 gamma^2 / n_t of rho = mu^2 / 2, the exact Gaussian budget when nothing is
subsampled (each device's whole payload may move by 2 gamma). The error left after round T weighs round t by

    w_t = A^(T-t)

with A the contraction factor of one round (arXiv 2604.12401, theorem 1 and problem P1; its A^-t is the same up to a
factor). Objectives are sums of w_t times the variance of the received sum.

Notation: T rounds, K devices; received power (T, K) is P_k |h_kt|^2, what would arrive of device k at full power;
noise variances are per real dimension after integration, so `received power / noise variance` is the SNR per scalar.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radio.errors import InputError

Floats = NDArray[np.float64]

# Share of a budget that is left unspent, so that no rounding of a sum, in whatever order, can overspend it.
SLACK = 1e-10


def round_weights(rounds: int, contraction: float) -> Floats:
    """(T,) w_t = A^(T-t) for t = 1 .. T. Raises InputError unless 0 < A <= 1."""
    if rounds < 1:
        raise InputError(f"a schedule of {rounds} rounds; allowed: 1 or more")
    if not 0.0 < contraction <= 1.0:
        raise InputError(f"the contraction factor of a round is {contraction!r}; allowed: above 0, at most 1 (flat)")
    left = np.arange(rounds - 1, -1, -1)
    # A weight of 0 would divide by nothing; e^-600 is forgotten just as well.
    return np.asarray(np.exp(np.maximum(left * math.log(contraction), -600.0)))


def largest_level(cost: Callable[[float], float], budget: float, tolerance: float = 1e-14) -> float:
    """The largest level x > 0 with cost(x) <= budget (1 - SLACK), to `tolerance` relative, always on that side of it.

    `cost` must grow with x, from below the budget to above it. Bisection on a logarithmic scale.
    """
    limit = budget * (1.0 - SLACK)
    low = high = 1.0
    while cost(low) > limit:
        low *= 1e-3
        if low < 1e-280:
            raise InputError(f"a budget of {budget!r} is too small for any transmission; raise privacy.epsilon")
    while cost(high) <= limit:
        low, high = high, 1e3 * high
        if high > 1e280:
            raise InputError(f"a budget of {budget!r} is never spent; the caps allow full power in every round")
    while high - low > tolerance * low:
        middle = math.sqrt(low) * math.sqrt(high)
        if not low < middle < high:
            break
        if cost(middle) <= limit:
            low = middle
        else:
            high = middle
    return low


def checked_powers(received_power: ArrayLike, gamma: float, noise_variance: float, rho: float) -> Floats:
    """`received_power` as floats (T, K); InputError for what no program here can use."""
    power = np.asarray(received_power, dtype=np.float64)
    if power.ndim != 2 or power.size == 0 or not (power.min() > 0.0 and power.max() < math.inf):
        raise InputError(
            f"received power has shape {power.shape}; allowed: (T, K), finite and above 0. Leave rounds and devices in "
            "too deep a fade out of the plan"
        )
    for name, value in (("gamma", gamma), ("noise variance", noise_variance), ("rho", rho)):
        if not (math.isfinite(value) and value > 0.0):
            raise InputError(f"{name} is {value!r}; allowed: finite and above 0")
    return power


def snr_caps(received_power: ArrayLike, gamma: float, noise_variance: float) -> Floats:
    """(T,) largest u_t = c_t^2 / N0: the weakest device at full power, min_k P_k |h_kt|^2 / (N0 gamma^2)."""
    return np.asarray(np.min(np.asarray(received_power, dtype=np.float64), axis=1) / (noise_variance * gamma**2))
