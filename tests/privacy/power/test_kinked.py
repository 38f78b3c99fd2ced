from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.power import oracle
from privacy.power.kinked import NoisePlan, carry, kinked_water_filling
from privacy.power.schedule import round_weights, snr_caps
from privacy.power.water_filling import water_filling
from radio.errors import InputError


def rayleigh_power(seed: int, rounds: int, devices: int, snr_db: float) -> np.ndarray:
    return 10 ** (snr_db / 10) * np.maximum(np.random.default_rng(seed).exponential(size=(rounds, devices)), 1e-6)


def objective(plan: NoisePlan, w: np.ndarray) -> float:
    return float((w * plan.variance(1.0)).sum())


def least_private_noise(plan: NoisePlan, trusted: float, missing: int) -> np.ndarray:
    """(T,) what is left when the `missing` loudest devices' noise is known to the adversary or never sent."""
    kept = np.sort(plan.artificial, axis=1)[:, : plan.artificial.shape[1] - missing]
    return np.asarray(kept.sum(axis=1) + trusted * plan.inverse_power)


instances = st.tuples(
    st.integers(0, 10**6),
    st.integers(1, 30),  # rounds
    st.integers(2, 6),  # devices
    st.floats(-30, 30),  # snr_db
    st.floats(0.5, 1.0),  # contraction
    st.floats(1e-3, 20.0),  # rho
    st.sampled_from([0.0, 0.3, 1.0]),  # trusted
    st.integers(0, 2),  # missing
    st.sampled_from([None, 1.0, 6.67]),  # backoff
)


@settings(max_examples=300, deadline=None)
@given(instances, st.floats(0.1, 10.0))
def test_budget_and_power_are_kept(instance: tuple, gamma: float) -> None:
    seed, rounds, devices, snr_db, contraction, rho, trusted, missing, backoff = instance
    missing = min(missing, devices - 1)
    power = rayleigh_power(seed, rounds, devices, snr_db)
    w = round_weights(rounds, contraction)
    plan = kinked_water_filling(w, power, gamma, 1.0, trusted, rho, missing, 0, backoff)
    private = least_private_noise(plan, trusted, missing)
    np.testing.assert_allclose(private, plan.private_noise, rtol=1e-9)
    spent = math.fsum(2.0 * gamma**2 / private)
    assert spent <= rho and plan.spent(gamma) <= rho
    full = bool(trusted > 0 and np.allclose(plan.private_noise, trusted * gamma**2 / power.min(axis=1)))
    assert spent >= rho * (1 - 1e-8) or full
    sent = np.sqrt(plan.artificial)
    needed = gamma**2 + sent**2 if backoff is None else (gamma + backoff * sent) ** 2
    assert (needed <= power * plan.inverse_power[:, None] * (1 + 1e-9)).all()
    np.testing.assert_allclose(plan.alignment**-2, plan.inverse_power)


@pytest.mark.parametrize("trusted", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("snr_db", [-30.0, -10.0, 0.0, 10.0])
def test_the_solver_finds_nothing_better(snr_db: float, trusted: float) -> None:
    power, w = rayleigh_power(int(snr_db) + 40, 25, 4, snr_db), round_weights(25, 0.95)
    ours = kinked_water_filling(w, power, 1.0, 1.0, trusted, 0.6)
    theirs = oracle.robust(w, power, 1.0, 1.0, trusted, 0.6)
    assert objective(ours, w) == pytest.approx(objective(theirs, w), rel=1e-6)


def test_equal_channels_make_the_equal_split_the_solvers() -> None:
    power, w = np.repeat(rayleigh_power(3, 15, 1, 5.0), 4, axis=1), round_weights(15, 0.9)
    for colluders in (1, 2, 3):
        ours = kinked_water_filling(w, power, 1.0, 1.0, 0.1, 0.6, colluders)
        theirs = oracle.robust(w, power, 1.0, 1.0, 0.1, 0.6, colluders)
        assert objective(ours, w) == pytest.approx(objective(theirs, w), rel=1e-6)


def test_unequal_channels_are_the_solvers_business() -> None:
    power, w = rayleigh_power(3, 15, 4, 5.0), round_weights(15, 0.9)
    ours = kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.6, 1)
    theirs = oracle.robust(w, power, 1.0, 1.0, 0.0, 0.6, 1)
    assert objective(theirs, w) < objective(ours, w)
    assert math.fsum(2.0 / least_private_noise(theirs, 0.0, 1)) <= 0.6
    assert (1.0 + theirs.artificial <= power * theirs.inverse_power[:, None] * (1 + 1e-12)).all()


def test_all_noise_trusted_is_theorem_3() -> None:
    power, w = rayleigh_power(5, 100, 3, -20.0), round_weights(100, 0.97)
    plan = kinked_water_filling(w, power, 1.0, 1.0, 1.0, 0.6)
    u = water_filling(w, snr_caps(power, 1.0, 1.0), 1.0, 0.6)
    assert not plan.artificial.any()
    np.testing.assert_allclose(plan.inverse_power, 1.0 / u, rtol=1e-12)


def test_a_missing_device_costs_what_its_share_is_worth() -> None:
    """At high SNR only noise counts: K / (K - C - D), whoever of the two is missing."""
    power, w = rayleigh_power(6, 50, 5, 90.0), round_weights(50, 0.97)
    base = objective(kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.6), w)
    for missing in range(1, 5):
        one = objective(kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.6, missing, 0), w)
        other = objective(kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.6, 0, missing), w)
        assert one == other == pytest.approx(base * 5 / (5 - missing), rel=1e-3)


@pytest.mark.parametrize(
    "snr_db, cost_db, tolerance",
    [
        (-20, 12.3, 0.6),
        (-10, 5.2, 0.3),
        (-5, 2.5, 0.15),
        (0, 0.96, 0.06),
        (5, 0.33, 0.03),
        (10, 0.11, 0.01),
        (20, 0.01, 0.005),
    ],
)
def test_not_trusting_the_receiver_costs_what_it_was_found_to(snr_db: float, cost_db: float, tolerance: float) -> None:
    """privacy.md 3.3: K = 5, T = 2000, epsilon 5 at 1e-5 (rho 0.62859), A = 0.998, Rayleigh."""
    power, w = rayleigh_power(7, 2000, 5, snr_db), round_weights(2000, 0.998)
    alone = objective(kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.62859), w)
    trusting = objective(kinked_water_filling(w, power, 1.0, 1.0, 1.0, 0.62859), w)
    assert 10 * math.log10(alone / trusting) == pytest.approx(cost_db, abs=tolerance)


@pytest.mark.parametrize("snr_db, cost_db, tolerance", [(10, 3.35, 0.25), (20, 0.48, 0.06)])
def test_true_peaks_cost_more(snr_db: float, cost_db: float, tolerance: float) -> None:
    """privacy.md section 9, b = 6.67."""
    power, w = rayleigh_power(7, 2000, 5, snr_db), round_weights(2000, 0.998)
    alone = objective(kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.62859, backoff=6.67), w)
    trusting = objective(kinked_water_filling(w, power, 1.0, 1.0, 1.0, 0.62859), w)
    assert 10 * math.log10(alone / trusting) == pytest.approx(cost_db, abs=tolerance)


def test_under_true_peaks_no_level_of_a_single_round_is_better() -> None:
    """One round must spend the whole budget, so its amplitude is all there is to choose, and `carry` finds the least."""
    power = np.array([[3.0, 1.0, 8.0]])
    plan = carry(np.array([40.0]), power, 1.0, 1.0, 0.2, backoff=4.0)
    y = float(plan.inverse_power[0])
    most = 0.2 * y + sum(((math.sqrt(q * y) - 1.0) / 4.0) ** 2 for q in power[0])
    assert most == pytest.approx(40.0, rel=1e-12)


def test_carrying_less_than_the_receiver_adds_gives_what_it_adds() -> None:
    plan = carry(np.array([1e-3]), np.array([[1.0, 2.0]]), 1.0, 1.0, 0.5)
    assert plan.private_noise[0] == pytest.approx(0.5) and not plan.artificial.any()


def test_a_schedule_is_carried_as_it_was_planned() -> None:
    power, w = rayleigh_power(9, 40, 4, 3.0), round_weights(40, 0.95)
    plan = kinked_water_filling(w, power, 1.0, 1.0, 0.2, 0.6)
    again = carry(plan.private_noise, power, 1.0, 1.0, 0.2)
    np.testing.assert_array_equal(again.artificial, plan.artificial)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": np.ones(2)},
        {"received_power": np.zeros((3, 2))},
        {"gamma": 0.0},
        {"noise_variance": math.nan},
        {"trusted_noise": 1.5},
        {"rho": 0.0},
        {"colluders": 1, "dropouts": 1},
        {"dropouts": -1},
        {"backoff": 0.5},
    ],
)
def test_impossible_programs_are_explained(changed: dict) -> None:
    arguments = {
        "weights": np.ones(3),
        "received_power": np.ones((3, 2)),
        "gamma": 1.0,
        "noise_variance": 1.0,
        "trusted_noise": 0.0,
        "rho": 1.0,
    }
    with pytest.raises(InputError, match="allowed"):
        kinked_water_filling(**(arguments | changed))
