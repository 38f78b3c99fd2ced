from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.power import MinimumError, plan
from radio.air import AirPlan, ChannelState
from radio.equalisation import plan_equal_power
from radio.errors import InputError
from radio.inversion import plan_inversion


def state(gains: np.ndarray, variance: float = 0.0, noise: float = 1e-4) -> ChannelState:
    k = gains.size
    return ChannelState(gains, np.full(k, variance), np.zeros(k), noise, np.ones(k, dtype=bool))


def rayleigh(seed: int, devices: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return (draws.standard_normal(devices) + 1j * draws.standard_normal(devices)) / np.sqrt(2.0)


def mean_squared_error(made: AirPlan, channel: ChannelState, rule: MinimumError) -> float:
    """From what the plan says, device by device."""
    n, total = int(made.active.sum()), 0.0
    sigma = np.broadcast_to(rule.noise_std, made.active.shape)
    for k in np.flatnonzero(made.active):
        misaligned = channel.gain_variance[k] / 2.0 / abs(channel.gains[k]) ** 2
        total += sigma[k] ** 2 + (rule.payload_power + sigma[k] ** 2) * misaligned
    total += channel.noise_variance / 2.0 / rule.samples / made.alignment**2
    return float(total / n**2 + rule.spread * (1.0 / n - 1.0 / made.active.size))


instances = st.tuples(
    st.integers(0, 10**6),  # seed
    st.integers(1, 12),  # devices
    st.floats(0.0, 2.0),  # sigma
    st.floats(0.0, 1.0),  # spread
    st.floats(1e-6, 10.0),  # receiver noise
    st.floats(0.0, 0.1),  # variance of estimates
)


@settings(max_examples=200, deadline=None)
@given(instances, st.floats(0.0, 2.0))
def test_never_worse_than_everybody_or_any_fixed_threshold(
    instance: tuple[int, int, float, float, float, float], truncation: float
) -> None:
    seed, devices, sigma, spread, noise, variance = instance
    channel = state(rayleigh(seed, devices), variance, noise)
    rule = MinimumError(sigma, 0.3, 64, spread)
    best = mean_squared_error(plan(channel, sigma, 1.0, 0.0, rule=rule), channel, rule)
    for fixed in (0.0, truncation):
        other = plan(channel, sigma, 1.0, fixed)
        if other.active.any():
            assert best <= mean_squared_error(other, channel, rule) * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(instances)
def test_no_subset_is_better_where_devices_are_alike(instance: tuple[int, int, float, float, float, float]) -> None:
    seed, devices, sigma, spread, noise, _ = instance
    devices = min(devices, 6)
    channel = state(rayleigh(seed, devices), 0.0, noise)
    rule = MinimumError(sigma, 0.3, 64, spread)
    best = mean_squared_error(plan(channel, sigma, 1.0, 0.0, rule=rule), channel, rule)
    for bits in range(1, 2**devices):
        subset = np.array([bool(bits >> k & 1) for k in range(devices)])
        other = plan(replace(channel, quality=subset), sigma, 1.0, 0.0)
        assert best <= mean_squared_error(other, channel, rule) * (1 + 1e-12)


@settings(max_examples=100, deadline=None)
@given(instances, st.floats(0.01, 1.0), st.floats(0.05, 1.0))
def test_peak_and_mean_power_are_kept(
    instance: tuple[int, int, float, float, float, float], peak: float, average: float
) -> None:
    seed, devices, sigma, spread, noise, variance = instance
    rule = MinimumError(sigma, 1.0, 64, spread, average_power=average)
    made = plan(state(rayleigh(seed, devices), variance, noise), sigma, 1.0, 0.0, peak_amplitude=peak, rule=rule)
    amplitude = np.abs(made.precoders)
    assert amplitude.max() * made.payload_peak <= peak * (1 + 1e-12)
    assert (amplitude**2 * (1.0 + sigma**2)).max() <= average * (1 + 1e-12)
    np.testing.assert_allclose((made.precoders * state(rayleigh(seed, devices)).gains)[made.active], made.alignment)


def test_a_weak_device_stays_in_quiet_rooms_and_sits_out_noisy_ones() -> None:
    gains = np.array([1.0, 1.0, 1.0, 0.03], dtype=complex)
    rule = MinimumError(0.5, 0.3, 64, 0.1)
    assert plan(state(gains, noise=1e-6), 0.5, 1.0, 0.0, rule=rule).active.tolist() == [True] * 4
    assert plan(state(gains, noise=1.0), 0.5, 1.0, 0.0, rule=rule).active.tolist() == [True, True, True, False]


def test_leaving_data_out_weighs_against_receiver_noise() -> None:
    """Two devices, |h| 1 and g, no own noise: both stay exactly while N/(2M) X^2 (1/(4 g^2) - 1) < S^2 / 2."""
    samples, noise, peak = 10, 0.8, 1.0
    unit = noise / (2 * samples) * peak**2
    for g in (0.1, 0.2, 0.4, 0.9):
        for spread in (0.01, 0.1, 1.0):
            made = plan(
                state(np.array([1.0, g + 0j]), noise=noise),
                0.0,
                peak,
                0.0,
                rule=MinimumError(0.0, 0.0, samples, spread),
            )
            assert bool(made.active[1]) == (unit * (0.25 / g**2 - 1.0) < spread / 2.0)


def test_untrusted_estimates_and_the_least_share_are_respected() -> None:
    gains = np.array([1.0, 0.9, 0.2, np.nan], dtype=complex)
    channel = replace(state(gains, noise=1e-12), quality=np.array([True, False, True, True]))
    rule = MinimumError(0.5, 0.3, 64, 1.0)
    assert plan(channel, 0.5, 1.0, 0.0, rule=rule).active.tolist() == [True, False, True, False]
    assert plan(channel, 0.5, 1.0, 0.3, rule=rule).active.tolist() == [True, False, False, False]
    nobody = plan(replace(channel, quality=np.zeros(4, dtype=bool)), 0.5, 1.0, 0.0, rule=rule)
    assert not nobody.active.any() and nobody.alignment == 0.0


def test_amplitudes_are_the_modes_own() -> None:
    channel = state(np.array([1.0 + 1.0j, -0.5j, 0.7]))
    rule = MinimumError(0.5, 0.3, 64, 1.0, rule=plan_equal_power)
    made = plan(channel, 0.5, 1.0, 0.0, rule=rule)
    np.testing.assert_allclose(made.precoders.imag, 0.0)
    inverted = plan(channel, 0.5, 1.0, 0.0, rule=replace(rule, rule=plan_inversion))
    np.testing.assert_allclose(inverted.precoders, plan(channel, 0.5, 1.0, 0.0).precoders)


@pytest.mark.parametrize(
    "changed",
    [
        {"noise_std": -1.0},
        {"payload_power": float("nan")},
        {"samples": 0},
        {"average_power": 0.0},
        {"spread": float("inf")},
    ],
)
def test_impossible_settings_are_explained(changed: dict[str, float]) -> None:
    settings = {"noise_std": 0.5, "payload_power": 1.0, "samples": 10, "spread": 1.0} | changed
    with pytest.raises(InputError, match="allowed"):
        MinimumError(**settings)  # type: ignore[arg-type]


def test_noise_of_the_wrong_number_of_devices_is_explained() -> None:
    with pytest.raises(InputError, match="3 values"):
        plan(state(np.ones(2, dtype=complex)), 0.1, 1.0, 0.0, rule=MinimumError((0.1, 0.1, 0.1), 1.0, 10, 1.0))
