"""The paper's own power rules (arXiv 2604.12401, theorems 3 and 4 and the baselines), each correction a switch.

As printed unless a correction is named; for reproducing, not for protecting anybody. All rest on the receiver's noise,
artificial noise is never used (E1). The numbers are those of privacy.md section 1.6:

    E2  case_test       full power is tested for with 2P/(K N0), a K too many: it then overspends up to K times
                        (K = 5: epsilon 5 at delta 0.01 is really 12.5).
                        Corrected: full power if and only if the budget covers it.
    E3  additive_noise  the bound multiplies the noise by S/b, the batch's variance, so that full batches would have no
                        noise floor. Corrected: eta^2 L r m^2 / (2 (K c)^2). The schedule does not change.
    E4  vote_moments    B1 and B2 of the sign bound are swapped, a square is missing, and the optimality condition has B2
                        squared. Corrected: B1 = 4 K e (1-e), B2 = K^2 (1-2e)^2, derivative B2 / (B1 + B2 + m)^2.
    E5  snr_projection  the sign problem is said to be convex in m; it is concave, and convex in u = 1/m. There the
    E6                  constraint u >= 0 belongs to it: rounds whose stationary point is not positive send nothing. As
                        printed every round needs a positive one, which the paper's own settings do not allow.
    E9  real_noise      N0 of complex noise is used as its variance in the one real dimension of the signal. Corrected: N0/2.
    E10 scalar_payload  noise and SNR carry the model's dimension d, left over from vector gradients. Corrected: 1.

E5 and E6 are one switch: the stationary point is the same equation in m and in u, and the convex form's only difference
is the projection. E7 (delta of 0.01) and E8 are settings and claims, not formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import SLACK, Floats, largest_level, round_weights
from radio.errors import InputError


@dataclass(frozen=True)
class Corrections:
    """Which defects are mended; none by default."""

    case_test: bool = False
    additive_noise: bool = False
    vote_moments: bool = False
    snr_projection: bool = False
    real_noise: bool = False
    scalar_payload: bool = False

    @classmethod
    def all(cls) -> Corrections:
        return cls(**{field.name: True for field in fields(cls)})


AS_PRINTED = Corrections()


def noise_power(noise_variance: float, corrections: Corrections = AS_PRINTED) -> float:
    """The noise variance that the rules below reckon with, from N0 = E|z|^2 (E9)."""
    return 0.5 * noise_variance if corrections.real_noise else noise_variance


def peak_power(snr_db: float, noise_variance: float, dimension: int, corrections: Corrections = AS_PRINTED) -> float:
    """P of the paper's SNR axis, SNR_max = P / (d N0) (E10)."""
    factor = 1 if corrections.scalar_payload else dimension
    return 10.0 ** (snr_db / 10.0) * factor * noise_variance


def analog_schedule(
    gain_power: ArrayLike,
    power: float,
    noise_variance: float,
    gamma: float,
    contraction: float,
    rho: float,
    corrections: Corrections = AS_PRINTED,
) -> Floats:
    """(T,) c_t of theorem 3: min{ A^(-t/4) sqrt(N0) / ((2 zeta)^(1/4) sqrt(gamma)), full power }.

    gain_power      (T, K) |h_kt|^2
    power           P, the same for all devices
    noise_variance  E|z|^2 of the receiver
    contraction     A
    rho             the paper's R_dp, or any budget of sum 2 gamma^2 c_t^2 / N0
    """
    return _reweighted(gain_power, power, noise_variance, gamma, contraction, rho, 0.5, corrections)


def reversed_schedule(
    gain_power: ArrayLike,
    power: float,
    noise_variance: float,
    gamma: float,
    contraction: float,
    rho: float,
    corrections: Corrections = AS_PRINTED,
) -> Floats:
    """(T,) c_t of the baseline "Reversed": A^(t/4) in place of A^(-t/4). Arguments as `analog_schedule`."""
    return _reweighted(gain_power, power, noise_variance, gamma, contraction, rho, -0.5, corrections)


def static_schedule(
    gain_power: ArrayLike,
    power: float,
    noise_variance: float,
    gamma: float,
    rho: float,
    corrections: Corrections = AS_PRINTED,
) -> Floats:
    """(T,) c_t of the baseline "Static", sqrt(N0 R / (2 T gamma^2)), where the channel allows it."""
    noise = noise_power(noise_variance, corrections)
    full = _full_power(gain_power, power, gamma)
    return np.minimum(math.sqrt(noise * rho * (1.0 - SLACK) / (2.0 * full.size * gamma**2)), full)


def sign_schedule(
    gain_power: ArrayLike,
    power: float,
    noise_variance: float,
    error: float,
    contraction: float,
    rho: float,
    corrections: Corrections = AS_PRINTED,
) -> Floats:
    """(T,) c_t of theorem 4: u_t = 1/m_t with

        m = B (4 zeta + sqrt(8 A^-t B2^2 zeta)) / (2 (A^-t B2^2 - 2 zeta)),   B = B1 + B2

    that is u_t = ( sqrt(A^-t B2^2 / (2 zeta)) - 1 ) / B, capped by full power; zeta so that sum 2 u_t = rho.

    error  e0, probability that a device's sign is wrong
    Other arguments as `analog_schedule`. Raises InputError where the theorem as printed has no solution.
    """
    gains = np.asarray(gain_power, dtype=np.float64)
    noise = noise_power(noise_variance, corrections)
    cap = _full_power(gains, power, 1.0) ** 2 / noise
    if cap.sum() <= 0.5 * rho * (1.0 - SLACK):
        return np.asarray(np.sqrt(noise * cap))
    spread, squared = vote_moments(gains.shape[1], error, corrections)
    numerator = squared if corrections.vote_moments else squared**2
    root = np.sqrt(round_weights(cap.size, contraction) * numerator)

    def stationary(level: float) -> Floats:
        # level = 1 / sqrt(2 zeta)
        return np.asarray((level * root - 1.0) / (spread + squared))

    if corrections.snr_projection:
        level = largest_level(lambda x: float(np.clip(stationary(x), 0.0, cap).sum()), 0.5 * rho)
        return np.asarray(np.sqrt(noise * np.clip(stationary(level), 0.0, cap)))
    # As printed every round's m must be positive, so even the earliest must be above its zero.
    least = np.minimum(stationary(1.0 / float(root.min())), cap)
    if 2.0 * float(least.sum()) > rho:
        raise InputError(
            f"theorem 4 as printed has no solution: A^-t B2^2 > 2 zeta in every round spends {2.0 * least.sum():.4g} "
            f"of a budget of {rho:.4g}; switch the correction snr_projection on"
        )
    level = largest_level(lambda x: float(np.minimum(np.maximum(stationary(x), 0.0), cap).sum()), 0.5 * rho)
    return np.asarray(np.sqrt(noise * np.clip(stationary(level), 0.0, cap)))


def vote_moments(devices: int, error: float, corrections: Corrections = AS_PRINTED) -> tuple[float, float]:
    """B1 and B2 of the sign bound (equation 67; E4)."""
    spread = 4.0 * devices * error * (1.0 - error)
    if corrections.vote_moments:
        return spread, (devices * (1.0 - 2.0 * error)) ** 2
    return devices**2 * (1.0 - 2.0 * error), spread


def convergence_bound(
    alignment: ArrayLike,
    noise_variance: float,
    devices: int,
    contraction: float,
    start: float,
    rate: float,
    smoothness: float,
    rank: float,
    dimension: int,
    batch_variance: float,
    batch: int,
    corrections: Corrections = AS_PRINTED,
) -> float:
    """Theorem 1 (22): A^T G0 + sum_t A^(T-t) times the error a round adds, for c_t (T,) without artificial noise.

        printed    eta^2 L S O_r m^2 / (2 b (K c)^2),   O_r = (d r + 2 d) / (d + 2)
        corrected  eta^2 L r m^2 / (2 (K c)^2)

    start           G0
    rate            eta
    smoothness      L
    rank            r, local effective rank
    dimension       d
    batch_variance  S; batch: b
    """
    c = np.asarray(alignment, dtype=np.float64)
    if corrections.additive_noise:
        factor = smoothness * rank
    else:
        factor = smoothness * batch_variance / batch * (dimension * rank + 2.0 * dimension) / (dimension + 2.0)
    with np.errstate(divide="ignore"):
        added = rate**2 * factor * noise_power(noise_variance, corrections) / (2.0 * (devices * c) ** 2)
    return float(contraction**c.size * start + (round_weights(c.size, contraction) * added).sum())


def _full_power(gain_power: ArrayLike, power: float, gamma: float) -> Floats:
    """(T,) min_k sqrt(P) |h_kt| / gamma. The d of the power constraint (C2) multiplies artificial noise, which is 0."""
    gains = np.asarray(gain_power, dtype=np.float64)
    if gains.ndim != 2 or gains.size == 0 or not (gains > 0.0).all():
        raise InputError(f"gain power has shape {gains.shape}; allowed: (T, K), above 0")
    return np.asarray(np.sqrt(power * gains.min(axis=1)) / gamma)


def _reweighted(
    gain_power: ArrayLike,
    power: float,
    noise_variance: float,
    gamma: float,
    contraction: float,
    rho: float,
    exponent: float,
    corrections: Corrections,
) -> Floats:
    gains = np.asarray(gain_power, dtype=np.float64)
    noise = noise_power(noise_variance, corrections)
    full = _full_power(gains, power, gamma)
    cap = full**2 / noise
    spent = 2.0 * gamma**2 * float(cap.sum())
    tested = spent if corrections.case_test else spent / gains.shape[1]
    if tested < rho * (1.0 - SLACK) or spent <= rho * (1.0 - SLACK):
        return full
    shape = round_weights(full.size, contraction) ** exponent
    shape /= shape.max()
    budget = rho / (2.0 * gamma**2)
    level = largest_level(lambda x: float(np.minimum(x * shape, cap).sum()), budget)
    return np.asarray(np.sqrt(noise * np.minimum(level * shape, cap)))
