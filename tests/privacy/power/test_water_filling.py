from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.power import oracle
from privacy.power.schedule import largest_level, round_weights, snr_caps
from privacy.power.water_filling import water_filling, water_filling_mean_power
from radio.errors import InputError


def rayleigh_power(seed: int, rounds: int, devices: int, snr_db: float) -> np.ndarray:
    """(T, K) received power over noise 1; |h|^2 is exponential, and no fade is deeper than 60 dB."""
    return 10 ** (snr_db / 10) * np.maximum(np.random.default_rng(seed).exponential(size=(rounds, devices)), 1e-6)


instances = st.tuples(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 6),
    st.floats(-40, 30),
    st.floats(0.5, 1.0),
    st.floats(1e-3, 50),
)


@settings(max_examples=200, deadline=None)
@given(instances, st.floats(0.1, 100.0))
def test_the_budget_and_the_caps_are_kept_and_nothing_is_wasted(instance: tuple, gamma: float) -> None:
    seed, rounds, devices, snr_db, contraction, rho = instance
    caps = snr_caps(rayleigh_power(seed, rounds, devices, snr_db), gamma, 1.0)
    u = water_filling(round_weights(rounds, contraction), caps, gamma, rho)
    spent = math.fsum(2.0 * gamma**2 * u)
    assert (u <= caps).all() and spent <= rho
    assert spent == pytest.approx(rho, rel=1e-9) or (u == caps).all()


def test_without_caps_the_solution_is_in_proportion_to_the_root_of_the_weight() -> None:
    w = round_weights(50, 0.9)
    u = water_filling(w, np.full(50, np.inf), 2.0, 0.6)
    np.testing.assert_allclose(u, 0.6 / (2.0 * 4.0) * np.sqrt(w) / np.sqrt(w).sum(), rtol=1e-9)


def test_full_power_whenever_the_budget_covers_it() -> None:
    """E2: exactly at sum 2 gamma^2 cap = rho, with no K in it."""
    caps = np.array([0.1, 0.3, 0.2])
    w = np.ones(3)
    np.testing.assert_array_equal(water_filling(w, caps, 1.0, 1.2001), caps)
    assert water_filling(w, caps, 1.0, 1.1999).sum() < caps.sum()


@pytest.mark.parametrize("seed", range(6))
def test_the_solver_finds_nothing_better(seed: int) -> None:
    draws = np.random.default_rng(seed)
    rounds, devices, snr_db = int(draws.integers(2, 40)), int(draws.integers(1, 6)), draws.uniform(-30, 10)
    power, w = rayleigh_power(seed, rounds, devices, snr_db), round_weights(rounds, draws.uniform(0.8, 1.0))
    ours = water_filling(w, snr_caps(power, 1.0, 1.0), 1.0, 0.6)
    theirs = oracle.trusted(w, power, 1.0, 1.0, 0.6)
    assert (w / ours).sum() == pytest.approx((w / theirs).sum(), rel=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_with_mean_power_too_the_solver_finds_nothing_better(seed: int) -> None:
    draws = np.random.default_rng(100 + seed)
    rounds, devices, snr_db = int(draws.integers(5, 40)), int(draws.integers(1, 6)), draws.uniform(-30, 10)
    power, w = rayleigh_power(seed, rounds, devices, snr_db), round_weights(rounds, draws.uniform(0.8, 1.0))
    share = draws.uniform(0.001, 0.3, devices)
    ours = water_filling_mean_power(w, power, 1.0, 1.0, 0.6, share)
    theirs = oracle.trusted(w, power, 1.0, 1.0, 0.6, share)
    assert (w / ours).sum() == pytest.approx((w / theirs).sum(), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(instances, st.floats(1e-4, 1.0))
def test_budget_peak_and_mean_power_are_kept(instance: tuple, share: float) -> None:
    seed, rounds, devices, snr_db, contraction, rho = instance
    power = rayleigh_power(seed, rounds, devices, snr_db)
    u = water_filling_mean_power(round_weights(rounds, contraction), power, 1.0, 1.0, rho, share)
    assert math.fsum(2.0 * u) <= rho
    used = u[:, None] / power  # of peak power, at gamma = N0 = 1
    assert used.max() <= 1.0 + 1e-12 and used.mean(axis=0).max() <= share * (1.0 + 1e-12)


def test_a_long_run_of_many_devices_spends_its_whole_budget() -> None:
    power, w = rayleigh_power(1, 10_000, 100, -10.0), round_weights(10_000, 0.998)
    u = water_filling(w, snr_caps(power, 1.0, 1.0), 1.0, 0.6)
    assert 0.6 * (1 - 1e-9) <= math.fsum(2.0 * u) <= 0.6


def test_weights_that_nobody_remembers_do_not_vanish() -> None:
    w = round_weights(10_000, 0.5)
    assert (w > 0.0).all() and w[-1] == 1.0 and w[-2] == pytest.approx(0.5)
    assert np.isfinite(water_filling(w, np.full(w.size, np.inf), 1.0, 1.0)).all()


def test_the_level_is_on_the_feasible_side() -> None:
    level = largest_level(lambda x: x**3, 7.0)
    assert level**3 <= 7.0 and level == pytest.approx(7.0 ** (1 / 3), rel=1e-9)
    with pytest.raises(InputError, match="never spent"):
        largest_level(lambda x: 1.0, 7.0)
    with pytest.raises(InputError, match="too small"):
        largest_level(lambda x: 1.0 + x, 0.5)


def test_impossible_schedules_are_explained() -> None:
    w = np.ones(3)
    for caps in (np.array([1.0, 0.0, 1.0]), np.ones(2), np.array([1.0, np.nan, 1.0])):
        with pytest.raises(InputError, match=r"allowed|leave"):
            water_filling(w, caps, 1.0, 1.0)
    with pytest.raises(InputError, match="allowed"):
        water_filling_mean_power(w, np.ones((3, 2)), 1.0, 1.0, 1.0, 0.0)
    with pytest.raises(InputError, match="allowed"):
        water_filling_mean_power(w, np.zeros((3, 2)), 1.0, 1.0, 1.0, 0.1)
    for contraction in (0.0, 1.1, math.nan):
        with pytest.raises(InputError, match="allowed"):
            round_weights(3, contraction)
    with pytest.raises(InputError, match="allowed"):
        round_weights(0, 0.9)
