"""Noise that varies by round, fixed ahead: the shape against a solver and against formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from privacy.power.fixed_ahead import LEAST_WEIGHT, noise_shape
from privacy.power.schedule import round_weights
from radio.errors import InputError


def test_without_sampling_the_power_goes_with_the_root_of_the_weight():
    weights = round_weights(50, 0.9)
    z = noise_shape(weights, 1.0, 1.3)
    np.testing.assert_allclose(z[0] / z, (weights / weights[0]) ** 0.25)
    assert (z**-2.0).sum() == pytest.approx(1.3**2)


def test_equal_weights_are_a_flat_schedule():
    for rate in (0.02, 1.0):
        z = noise_shape(np.ones(20), rate, 0.8)
        cost = z**-2.0 if rate == 1.0 else rate**2 * np.expm1(z**-2.0)
        np.testing.assert_allclose(cost, 0.8**2 / 20, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.3, 1.0])
def test_no_other_shape_of_the_same_cost_has_less_weighted_error(rate):
    weights, mu = round_weights(12, 0.7), 1.1

    def cost(u):
        return (u if rate == 1.0 else rate**2 * np.expm1(u)).sum() / mu**2

    u = noise_shape(weights, rate, mu) ** -2.0
    assert cost(u) == pytest.approx(1.0, rel=1e-6)
    start = np.full(12, u.min())
    found = minimize(
        lambda x: np.log((weights * np.exp(-x)).sum()),
        np.log(start),
        constraints={"type": "ineq", "fun": lambda x: 1.0 - cost(np.exp(x))},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found.success
    np.testing.assert_allclose((weights / u).sum(), np.exp(found.fun), rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.x), u, rtol=0.01)


def test_a_round_that_hardly_counts_gets_a_hundred_times_the_least_noise_at_most():
    z = noise_shape([0.0, 1e-300, 1.0, 0.5], 1.0, 1.0)
    assert z[0] == z[1] == pytest.approx(z.min() * LEAST_WEIGHT**-0.25)


@pytest.mark.parametrize(
    ("weights", "rate", "mu"),
    [([], 1, 1), ([0.0], 1, 1), ([-1.0, 1], 1, 1), ([1.0], 0, 1), ([1.0], 1, 0), ([[1.0]], 1, 1)],
)
def test_impossible_arguments_are_refused(weights, rate, mu):
    with pytest.raises(InputError, match="allowed"):
        noise_shape(weights, rate, mu)
