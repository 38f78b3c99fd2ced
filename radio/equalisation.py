"""Power control of modes that know no phase: equal received powers, or everybody at full scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState
from radio.inversion import Limits, plan_rule


def equalise(
    power: NDArray[np.float64], relative_variance: NDArray[np.float64], active: NDArray[np.bool_], amplitude_max: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amplitudes (..., K) that make all active devices arrive with one power, and that power (...).

        b_k^2 = rho / (G_k (1 + v_k)),   rho = min_{active} G_k (1 + v_k) A_max^2

    G_k is an unbiased estimate of |h_k|^2 with relative variance v_k = Var(G_k)/G_k^2, but 1/G_k is not one of
    1/|h_k|^2: E[1/G] = (1 + v)/|h|^2 to second order, which 1 + v takes off.

    Args:
        power: (..., K) estimates of |h|^2; leading axes are rounds.
        relative_variance: (..., K) their relative variance.
        active: (..., K) who takes part.
        amplitude_max: A_max.
    """
    corrected = np.where(active, power * (1.0 + relative_variance), np.inf)
    weakest = corrected.min(axis=-1, keepdims=True)
    unit = np.where(np.isfinite(weakest), weakest, 0.0) * amplitude_max**2
    return np.sqrt(np.where(active, unit / corrected, 0.0)), unit[..., 0]


@plan_rule
def plan_equal_power(state: ChannelState, limits: Limits) -> AirPlan:
    """Everybody arrives with the same power; only |h| is needed."""
    power, active = limits.active_set(state)
    # Var(|h|^2) = 4 |h|^2 Var(|h|).
    relative = 4.0 * state.gain_variance / np.where(power > 0.0, power, np.inf)
    amplitudes, unit = equalise(power, relative, active, limits.amplitude_max)
    return AirPlan(amplitudes.astype(np.complex128), active, float(unit), float(limits.payload_peak))


@plan_rule
def plan_full_scale(state: ChannelState, limits: Limits) -> AirPlan:
    """Nothing is equalised: everybody who can be heard sends the payload `payload_peak` at full scale."""
    return _alike(limits.active_set(state)[1], limits.amplitude_max / limits.payload_peak, limits)


@plan_rule
def plan_votes(state: ChannelState, limits: Limits) -> AirPlan:
    """Everybody votes at the same amplitude; nothing about the channel is known, so nobody is left out by it."""
    return _alike(np.asarray(state.quality, dtype=bool), limits.amplitude_max, limits)


def _alike(active: NDArray[np.bool_], amplitude: float, limits: Limits) -> AirPlan:
    precoders = np.where(active, amplitude, 0.0).astype(np.complex128)
    return AirPlan(precoders, active, 1.0 if active.any() else 0.0, float(limits.payload_peak))


def power_dbfs(amplitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) mean power in dB of full scale of what devices sent, (K, slots) amplitudes; -inf when silent."""
    return mean_dbfs((amplitudes**2).mean(axis=1) if amplitudes.shape[1] else np.zeros(amplitudes.shape[0]))


def mean_dbfs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) dB of full scale of mean powers, full-scale tone = 1; -inf when silent."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(power))


def snr_db(payload_peak: float, variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """10 log10(X^2 / variance): one full-scale payload against the predicted error; NaN stays NaN."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(payload_peak**2 / variance))
