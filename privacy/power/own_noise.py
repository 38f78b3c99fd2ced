"""Who takes part under own noise: the set of devices with the least error of the mean.

With the noise fixed ahead, a round's mean over the n active devices differs from the noiseless mean over all K by

    MSE = [ sum_active sigma_k^2 + sum_active (E p^2 + sigma_k^2) v_k / (2 |h_k|^2) + E|n|^2 / (2 M eta^2) ] / n^2
          + S^2 (1/n - 1/K)

own noise, misalignment from the error of the channel estimates (`radio.misalignment.csi_variance` to first order), receiver
noise, and the data left out: payloads of variance S^2 among devices make the mean of n of K miss that of all by the
last term (sampling without replacement). Leaving out the weakest device raises the common arrival eta and lowers n.
Everything here is known before anybody measures a loss, or bounded by the clip; no data enters.

Devices are left out in the order of their channels alone, so K candidate sets are compared and the least error is
exact among all thresholds on |h_hat|. An optimum over amplitudes as well would let weak devices arrive short (Cao et
al., "Optimized power control for over-the-air computation in fading channels", IEEE TWC 2020, section IV); that tilts
the mean towards strong devices' data, so here whoever takes part counts in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, PlanRule
from radio.errors import InputError
from radio.inversion import Limits, plan_inversion

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MinimumError:
    """A `PlanRule` that chooses the truncation of each round, for modes in which amplitudes add (coherent, ideal).

    noise_std      sigma, own noise of each device: one number or a tuple of K; payload units
    payload_power  E p^2; the squared saturation bounds it
    samples        M, over which the receiver integrates one payload
    spread         S^2, variance of the payloads among the devices; the squared saturation bounds it. What leaving data
                   out is taken to cost: 0 counts noise alone
    average_power  limit of a device's mean transmitted power, share of a full-scale tone, in every round
    rule           what turns the chosen set into amplitudes

    `truncation` of a call is the least share of the mean gain power that may be inverted at all.
    """

    noise_std: float | tuple[float, ...]
    payload_power: float
    samples: int
    spread: float
    average_power: float = 1.0
    rule: PlanRule = plan_inversion

    def __post_init__(self) -> None:
        sizes = (*np.atleast_1d(self.noise_std), self.payload_power, self.spread)
        if not all(math.isfinite(size) and size >= 0.0 for size in sizes):
            raise InputError(
                f"noise_std is {self.noise_std!r}, payload_power {self.payload_power!r}, spread {self.spread!r}; "
                "allowed: finite, 0 or more"
            )
        if self.samples < 1:
            raise InputError(f"a payload is integrated over {self.samples} samples; allowed: 1 or more")
        if not 0.0 < self.average_power <= 1.0:
            raise InputError(f"average_power is {self.average_power!r}; allowed: above 0 and at most 1 (full scale)")

    def __call__(
        self,
        state: ChannelState,
        payload_peak: float,
        *,
        truncation: float = 0.0,
        amplitude_max: float = 1.0,
        mean_gain_power: float | None = None,
    ) -> AirPlan:
        limits = Limits(payload_peak, truncation, amplitude_max, mean_gain_power)
        sigma = self._sigma(state.gains.size)
        # mean power b^2 (E p^2 + sigma^2) <= average_power, as a limit of the amplitude b X that `rule` works with
        strongest = math.sqrt(self.payload_power + float((sigma**2).max(initial=0.0)))
        if strongest > 0.0:
            amplitude_max = min(amplitude_max, math.sqrt(self.average_power) * payload_peak / strongest)
        power, allowed = limits.active_set(state)
        chosen = np.zeros_like(allowed)
        if allowed.any():
            order = np.flatnonzero(allowed)[np.argsort(-power[allowed], kind="stable")]
            error = self.errors(state, order, payload_peak, amplitude_max)
            chosen[order[: 1 + int(np.argmin(error))]] = True
        return self.rule(
            replace(state, quality=chosen),
            payload_peak,
            truncation=0.0,
            amplitude_max=amplitude_max,
            mean_gain_power=mean_gain_power,
        )

    def errors(self, state: ChannelState, order: NDArray[np.intp], payload_peak: float, amplitude_max: float) -> Floats:
        """(n,) mean squared error, payload units squared, of the mean over the first 1, 2, .. n devices of `order`.

        order  (n,) indices of devices, the strongest estimate first
        """
        devices = state.gains.size
        noise_power = self._sigma(devices)[order] ** 2
        gain_power = np.abs(state.gains[order]) ** 2
        of_estimates = (self.payload_power + noise_power) * state.gain_variance[order] / (2.0 * gain_power)
        alignment = gain_power * (amplitude_max / payload_peak) ** 2  # eta^2, set by the weakest so far
        receiver = state.noise_variance / (2.0 * self.samples * alignment)
        n = np.arange(1, order.size + 1)
        arrived = np.cumsum(noise_power + of_estimates) + receiver
        return np.asarray(arrived / n**2 + self.spread * (1.0 / n - 1.0 / devices))

    def _sigma(self, devices: int) -> Floats:
        if isinstance(self.noise_std, tuple) and len(self.noise_std) != devices:
            raise InputError(f"noise_std has {len(self.noise_std)} values; allowed: one, or one for each of {devices}")
        return np.broadcast_to(np.asarray(self.noise_std, dtype=np.float64), (devices,))
