from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.power import oracle
from privacy.power.kinked import NoisePlan, kinked_water_filling
from privacy.power.schedule import round_weights
from radio.errors import InputError


def rayleigh_power(seed: int, rounds: int, devices: int, snr_db: float) -> np.ndarray:
    return 10 ** (snr_db / 10) * np.maximum(np.random.default_rng(seed).exponential(size=(rounds, devices)), 1e-3)


def objective(plan: NoisePlan, w: np.ndarray) -> float:
    return float((w * plan.variance(1.0)).sum())


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.floats(-25, 20), st.floats(0.05, 5.0), st.sampled_from([0.0, 0.5]), st.integers(0, 2))
def test_what_the_solver_returns_keeps_budget_and_power(
    seed: int, snr_db: float, rho: float, trusted: float, colluders: int
) -> None:
    power, w = rayleigh_power(seed, 6, 4, snr_db), round_weights(6, 0.9)
    plan = oracle.robust(w, power, 1.0, 1.0, trusted, rho, colluders)
    kept = np.sort(plan.artificial, axis=1)[:, : 4 - colluders].sum(axis=1) + trusted * plan.inverse_power
    assert math.fsum(2.0 / kept) <= rho
    assert (1.0 + plan.artificial <= power * plan.inverse_power[:, None] * (1 + 1e-12)).all()
    closed = kinked_water_filling(w, power, 1.0, 1.0, trusted, rho, colluders)
    assert objective(plan, w) <= objective(closed, w) * (1 + 1e-6)


def test_mean_power_that_does_not_bind_leaves_the_peaks_program() -> None:
    """Equal channels: the best split is the equal one, so the geometric program is the kinked one."""
    power, w = np.repeat(rayleigh_power(2, 10, 1, 5.0), 3, axis=1), round_weights(10, 0.9)
    plan = oracle.geometric(w, power, 1.0, 1.0, 0.6, 1.0, np.full(3, 1 / 3))
    closed = kinked_water_filling(w, power, 1.0, 1.0, 0.0, 0.6)
    assert objective(plan, w) == pytest.approx(objective(closed, w), rel=1e-6)


def test_mean_power_is_kept_and_costs() -> None:
    power, w = rayleigh_power(2, 10, 3, 0.0), round_weights(10, 0.9)
    split, last = np.array([0.5, 0.3, 0.2]), 0.0
    for share in (1.0, 0.5, 0.1):
        plan = oracle.geometric(w, power, 1.0, 1.0, 0.6, share, split)
        used = (1.0 + plan.artificial) / (power * plan.inverse_power[:, None])
        assert used.max() <= 1.0 + 1e-9 and used.mean(axis=0).max() <= share * (1.0 + 1e-9)
        np.testing.assert_allclose(plan.artificial / plan.private_noise[:, None], np.tile(split, (10, 1)))
        assert math.fsum(2.0 / plan.artificial.sum(axis=1)) <= 0.6
        assert objective(plan, w) >= last * (1 - 1e-9)
        last = objective(plan, w)


def test_impossible_programs_are_explained() -> None:
    power, w = np.ones((2, 3)), np.ones(2)
    with pytest.raises(InputError, match="allowed"):
        oracle.robust(w, power, 1.0, 1.0, 0.0, 1.0, 3)
    with pytest.raises(InputError, match="adding up to 1"):
        oracle.geometric(w, power, 1.0, 1.0, 1.0, 1.0, np.ones(3))
