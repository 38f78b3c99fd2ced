"""Untrusted receiver: devices make the noise themselves, as cheaply as their channels allow ("water-filling with a kink").

Of the receiver's noise N0 only a part Na (0 .. N0) is trusted. With y_t = 1 / c_t^2, private noise of total variance n_t
and artificial noise s_kt (payload units),

    min sum_t w_t ( sum_k s_kt + N0 y_t )   subject to   sum_t 2 gamma^2 / n_t <= rho,
        n_t = sum_k s_kt + Na y_t,   gamma^2 + s_kt <= P_k |h_kt|^2 y_t,   s_kt >= 0

The least y that carries n is y(n) = max{ ymin, (n + K gamma^2) / (Na + sum_k P_k |h_k|^2) }, ymin = gamma^2 / min_k P_k |h_k|^2,
noise coming from whoever has power to spare. So round t costs n + (N0 - Na) y(n): slope 1 up to a kink, a steeper one
beyond, and n_t is the median of two square roots and the kink (privacy.md section 3.3).

With C colluders and D silent dropouts the noise is split equally, M = K - C - D devices' shares count, and the weakest
channel sets the scale: the same formulas with other constants. Unequal splits for C > 0: `oracle.robust`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import SLACK, Floats, checked_powers, largest_level
from radio.errors import InputError


@dataclass(frozen=True)
class NoisePlan:
    """A schedule of alignment and artificial noise; variances in payload units squared.

    private_noise  (T,) n_t, what the adversary is sure to face
    inverse_power  (T,) y_t = 1 / c_t^2
    artificial     (T, K) s_kt = sigma_kt^2
    """

    private_noise: Floats
    inverse_power: Floats
    artificial: Floats

    @property
    def alignment(self) -> Floats:
        """(T,) c_t, received amplitude per unit of payload."""
        return np.asarray(self.inverse_power**-0.5)

    def variance(self, noise_variance: float) -> Floats:
        """(T,) of the received sum: sum_k s_kt + N0 y_t."""
        return np.asarray(self.artificial.sum(axis=1) + noise_variance * self.inverse_power)

    def spent(self, gamma: float) -> float:
        """rho of the whole schedule: sum_t 2 gamma^2 / n_t."""
        return float((2.0 * gamma**2 / self.private_noise).sum())


def kinked_water_filling(
    weights: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    trusted_noise: float,
    rho: float,
    colluders: int = 0,
    dropouts: int = 0,
    backoff: float | None = None,
) -> NoisePlan:
    """The schedule of least weighted error whose spent budget never exceeds rho.

    weights         (T,) w_t
    received_power  (T, K) P_k |h_kt|^2
    gamma           the clip
    noise_variance  N0 per real dimension
    trusted_noise   Na, 0 .. N0: the part of it that no better receiver can remove
    rho             budget
    colluders       C, devices whose noise the adversary knows
    dropouts        D, devices that may fall silent unnoticed
    backoff         b of a true peak limit (gamma + b sigma)^2 <= P |h|^2 y instead of second-moment power. The program is
                    then not convex: levels are those of its slope for strong noise, y is exact. Clipping beyond b belongs
                    in delta (`peak.backoff_for`)

    Raises InputError for impossible arguments.
    """
    power = checked_powers(received_power, gamma, noise_variance, rho)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != power.shape[:1] or not (np.isfinite(w).all() and (w > 0.0).all()):
        raise InputError(f"weights have shape {w.shape}; allowed: {power.shape[:1]}, finite and above 0")
    supply = _Supply(power, gamma, noise_variance, trusted_noise, colluders, dropouts, backoff)
    before, after = np.sqrt(1.0 / (w * supply.first_slope)), np.sqrt(1.0 / (w * supply.second_slope))

    def inverse_noise(level: float) -> Floats:
        """(T,) 1/n_t at sqrt(2 gamma^2 zeta) = 1/level; grows with it."""
        low, high = before / level, after / level
        n = np.where(low <= supply.kink, low, np.maximum(high, supply.kink))
        return np.asarray(1.0 / np.maximum(n, supply.floor))

    budget = rho / (2.0 * gamma**2)
    if trusted_noise > 0.0 and float((1.0 / supply.floor).sum()) <= budget * (1.0 - SLACK):
        return supply.carry(supply.floor)
    return supply.carry(1.0 / inverse_noise(largest_level(lambda x: float(inverse_noise(x).sum()), budget)))


def carry(
    private_noise: ArrayLike,
    received_power: ArrayLike,
    gamma: float,
    noise_variance: float,
    trusted_noise: float,
    colluders: int = 0,
    dropouts: int = 0,
    backoff: float | None = None,
) -> NoisePlan:
    """Amplitude and artificial noise that give the private noise n_t, (T,), at the least error: for online rules.

    A round asked for less noise than the receiver's trusted part at full power gets that. Other arguments as
    `kinked_water_filling`.
    """
    power = checked_powers(received_power, gamma, noise_variance, 1.0)
    n = np.asarray(private_noise, dtype=np.float64)
    if n.shape != power.shape[:1] or not (np.isfinite(n).all() and (n > 0.0).all()):
        raise InputError(f"private noise has shape {n.shape}; allowed: {power.shape[:1]}, finite and above 0")
    return _Supply(power, gamma, noise_variance, trusted_noise, colluders, dropouts, backoff).carry(n)


class _Supply:
    """What private noise costs in each round. Private noise carried at y = 1/c^2, over the M counted devices:

        noise(y) = Na y + sum_k ( q_k y - gamma^2 )                        second-moment power, q_k = P_k |h_k|^2
                 = Na y + sum_k ( (sqrt(q_k y) - gamma) / b )^2            peak

    floor         (T,) Na ymin, noise at full power without artificial noise
    kink          (T,) noise(ymin), the most that full power carries
    first_slope   of the round's error over n, before the kink; second_slope (T,) beyond
    """

    def __init__(
        self,
        power: Floats,
        gamma: float,
        noise_variance: float,
        trusted_noise: float,
        colluders: int,
        dropouts: int,
        backoff: float | None,
    ) -> None:
        devices = power.shape[1]
        if not 0.0 <= trusted_noise <= noise_variance:
            raise InputError(f"trusted noise is {trusted_noise!r}; allowed: 0 to the noise variance {noise_variance!r}")
        self.counted = devices - colluders - dropouts
        if min(colluders, dropouts) < 0 or self.counted < 1:
            raise InputError(
                f"{colluders} colluders and {dropouts} dropouts of {devices} devices; allowed: 0 or more, and at least "
                "one device must be left"
            )
        if backoff is not None and not (math.isfinite(backoff) and backoff >= 1.0):
            raise InputError(f"backoff is {backoff!r}; allowed: 1 standard deviation or more (6 is usual here)")
        self.power, self.gamma, self.trusted, self.backoff = power, gamma, trusted_noise, backoff
        self.equal = self.counted < devices
        self.weakest = weakest = power.min(axis=1)
        self.total = self.counted * weakest if self.equal else power.sum(axis=1)
        self.least_y = gamma**2 / weakest
        self.floor = trusted_noise * self.least_y
        paid = devices / self.counted  # artificial noise sent over that counted
        # Where the receiver's trusted noise is the cheaper one, there is no artificial noise and n = Na y.
        self.silent = paid * trusted_noise >= noise_variance
        self.first_slope: float | Floats
        if self.silent:
            self.kink = self.floor
            self.first_slope = self.second_slope = np.full(weakest.size, noise_variance / trusted_noise)
            return
        if backoff is not None:
            self.root = self.counted * np.sqrt(weakest) if self.equal else np.sqrt(power).sum(axis=1)
        self.marginal = 1.0 / (trusted_noise + self.total / (backoff or 1.0) ** 2)  # dy/dn of strong noise
        self.kink = np.maximum(self._noise(self.least_y), self.floor)
        self.first_slope = paid
        self.second_slope = paid + (noise_variance - paid * trusted_noise) * self.marginal

    def carry(self, n: Floats) -> NoisePlan:
        n = np.maximum(n, self.floor)
        if self.silent:
            return NoisePlan(n, n / self.trusted, np.zeros(self.power.shape))
        y = np.maximum(self.least_y, self._inverse_power(n))
        made = np.maximum(n - self.trusted * y, 0.0)
        # Never above what the transmitters can spare: rounding takes it from the noise, which has SLACK for that.
        if self.equal:
            each = np.minimum(made / self.counted, self._spare(self.weakest * y))
            return NoisePlan(n, y, np.repeat(each[:, None], self.power.shape[1], axis=1))
        spare = self._spare(self.power * y[:, None])
        whole = spare.sum(axis=1)
        used = np.divide(made, whole, out=np.zeros(n.size), where=whole > 0.0)
        spare *= np.minimum(used, 1.0)[:, None]
        return NoisePlan(n, y, spare)

    def _spare(self, received: Floats) -> Floats:
        """Largest artificial noise that a device with q_k y = `received` can send; reuses the array."""
        if self.backoff is None:
            received -= self.gamma**2
            return np.maximum(received, 0.0, out=received)
        return np.asarray((np.maximum(np.sqrt(received) - self.gamma, 0.0) / self.backoff) ** 2)

    def _noise(self, y: Floats) -> Floats:
        load = self.counted * self.gamma**2
        if self.backoff is None:
            return np.asarray(self.total * y - load + self.trusted * y)
        peak = self.total * y + load - 2.0 * self.gamma * self.root * np.sqrt(y)
        return np.asarray(peak / self.backoff**2 + self.trusted * y)

    def _inverse_power(self, n: Floats) -> Floats:
        """The larger y with noise(y) = n."""
        load = self.counted * self.gamma**2
        if self.backoff is None:
            return np.asarray((n + load) * self.marginal)
        half = self.gamma * self.root / self.backoff**2
        discriminant = half**2 - (load / self.backoff**2 - n) / self.marginal
        return np.asarray(((half + np.sqrt(np.maximum(discriminant, 0.0))) * self.marginal) ** 2)
