from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from privacy.power import oracle
from privacy.power.schedule import round_weights
from privacy.power.sign import drift, drift_slope, sign_schedule
from radio.errors import InputError


@pytest.mark.parametrize("devices", [1, 2, 5])
@pytest.mark.parametrize("error", [0.0, 0.3, 0.496])
def test_the_drift_counts_every_combination_of_votes(devices: int, error: float) -> None:
    for u in (1e-3, 0.5, 20.0):
        expected = 0.0
        for votes in itertools.product((1, -1), repeat=devices):
            probability = math.prod(1 - error if vote == 1 else error for vote in votes)
            expected += probability * (2.0 * norm.cdf(sum(votes) * math.sqrt(u)) - 1.0)
        assert float(drift(u, devices, error)) == pytest.approx(expected, abs=1e-13)


def test_the_slope_is_the_drifts_and_falls() -> None:
    u = np.geomspace(1e-6, 5.0, 40)
    step = 1e-5 * u
    secant = (drift(u + step, 5, 0.4) - drift(u - step, 5, 0.4)) / (2 * step)
    np.testing.assert_allclose(drift_slope(u, 5, 0.4), secant, rtol=1e-6)
    assert (np.diff(drift_slope(u, 6, 0.3)) < 0).all()


def test_the_papers_settings_give_the_exact_optimum_that_was_found() -> None:
    """privacy.md 2.6: K = 5, e = 0.496, A = 0.998, T = 8000, R = 1.108: 0.0500 of the noiseless drift against 0.0177 for a
    flat schedule; 579 rounds hold 90 % of the budget."""
    w = round_weights(8000, 0.998)
    u = sign_schedule(w, np.full(8000, np.inf), 5, 0.496, 1.108)
    noiseless = (w * drift(np.inf, 5, 0.496)).sum()
    assert (w * drift(u, 5, 0.496)).sum() / noiseless == pytest.approx(0.0500, abs=5e-5)
    assert (w * drift(1.108 / 2 / 8000, 5, 0.496)).sum() / noiseless == pytest.approx(0.0177, abs=5e-5)
    assert np.searchsorted(np.cumsum(u[::-1]), 0.9 * u.sum()) + 1 == 579


def test_weak_signals_are_spread_by_the_square_of_the_weight() -> None:
    w = round_weights(20, 0.9)
    u = sign_schedule(w, np.full(20, np.inf), 5, 0.4, 1e-6)
    np.testing.assert_allclose(u, 5e-7 * w**2 / (w**2).sum(), rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_no_solver_finds_a_better_schedule(seed: int) -> None:
    draws = np.random.default_rng(seed)
    w, caps = round_weights(8, draws.uniform(0.6, 1.0)), draws.exponential(size=8) * 0.5
    devices, error, rho = int(draws.integers(1, 7)), draws.uniform(0.0, 0.49), draws.uniform(0.1, 4.0)
    ours = (w * drift(sign_schedule(w, caps, devices, error, rho), devices, error)).sum()
    bound = oracle.sign_upper_bound(w, caps, devices, error, rho)
    assert ours <= bound * (1 + 1e-7)
    assert ours == pytest.approx(bound, rel=1e-5)
    theirs = minimize(
        lambda u: -(w * drift(np.maximum(u, 1e-12), devices, error)).sum(),
        np.full(8, 1e-3),
        bounds=list(zip(np.full(8, 1e-9), caps, strict=True)),
        constraints={"type": "ineq", "fun": lambda u: rho - 2.0 * u.sum()},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert ours >= -theirs.fun - 1e-6


@settings(max_examples=150, deadline=None)
@example([math.inf], 1.0, 12, 5e-324, 18.0)
@given(
    st.lists(st.one_of(st.floats(1e-9, 1e6), st.just(math.inf)), min_size=1, max_size=30),
    st.floats(0.01, 1.0),
    st.integers(1, 40),
    st.floats(0.0, 0.499),
    st.floats(1e-6, 1e4),
)
def test_the_budget_and_the_caps_are_kept(
    caps: list[float], contraction: float, devices: int, error: float, rho: float
) -> None:
    u = sign_schedule(round_weights(len(caps), contraction), caps, devices, error, rho)
    assert math.fsum(2.0 * u) <= rho and (u <= caps).all() and (u >= 0.0).all()


@pytest.mark.parametrize("devices, error", [(0, 0.1), (3, 0.5), (3, -0.1), (3, math.nan)])
def test_impossible_votes_are_explained(devices: int, error: float) -> None:
    with pytest.raises(InputError, match="allowed"):
        sign_schedule(np.ones(2), np.ones(2), devices, error, 1.0)
