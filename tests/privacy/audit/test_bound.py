from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from privacy.accounting import gaussian_delta, gaussian_epsilon
from privacy.audit.bound import (
    EPSILONS,
    Rates,
    allowed,
    clopper_pearson_upper,
    counting_lower,
    error_rates,
    gaussian_mu_lower,
    scale_upper,
)
from radio.streams import stream

DELTA = 1e-5
MU = 1.1212  # epsilon 5 at delta 1e-5 (reference: mu* table)


def samples(mu: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(seed, "bound")
    return rng.standard_normal(count), mu + rng.standard_normal(count)


def gaussian(mu: float):
    return lambda epsilons: np.array([gaussian_delta(mu, float(e)) for e in epsilons])


@pytest.mark.parametrize("hits, trials", [(0, 50), (7, 50), (49, 50), (50, 50)])
def test_clopper_pearson_is_scipys_exact_interval(hits: int, trials: int) -> None:
    interval = binomtest(hits, trials).proportion_ci(confidence_level=0.9, method="exact")
    assert float(clopper_pearson_upper(hits, trials, 0.05)) == pytest.approx(interval.high)


def test_a_correct_gaussian_of_epsilon_5_shows_about_4_8_and_not_more_than_5() -> None:
    shown = []
    for seed in range(20):
        rates = error_rates(*samples(MU, 40_000, seed), DELTA)
        shown.append(gaussian_epsilon(gaussian_mu_lower(rates), DELTA))
    assert max(shown) <= 5.0
    assert np.mean(shown) == pytest.approx(4.78, abs=0.06)


def test_false_alarms_are_rarer_than_promised() -> None:
    alarms = sum(
        gaussian_mu_lower(error_rates(*samples(MU, 2_000, seed), DELTA, confidence=0.8)) > MU for seed in range(60)
    )
    assert alarms <= 12


def test_counting_bounds_are_the_definition_of_differential_privacy_in_both_directions() -> None:
    assert Rates(0.01, 0.5).counting(0.1) == pytest.approx(math.log(0.4 / 0.01))
    assert Rates(0.5, 0.01).counting(0.1) == pytest.approx(math.log(0.4 / 0.01))
    assert Rates(0.9, 0.9).counting(0.1) == 0.0


def test_a_one_sided_leak_shows_in_the_direction_in_which_it_is() -> None:
    zero, one = np.zeros(4000), np.concatenate([np.ones(40), np.zeros(3960)])
    rates = error_rates(zero, stream(3, "order").permutation(one), DELTA)
    assert counting_lower(rates, DELTA) > 0.5


def test_counting_alone_stays_far_below_a_gaussian_of_epsilon_5() -> None:
    assert 1.5 < counting_lower(error_rates(*samples(MU, 40_000, 1), DELTA), DELTA) < 4.0


def test_mu_is_the_point_on_the_gaussian_trade_off_curve() -> None:
    assert Rates(norm.sf(0.6), norm.cdf(0.6 - 1.3)).gaussian_mu == pytest.approx(1.3)


def test_rates_on_the_curve_are_allowed_and_rates_beyond_it_are_not() -> None:
    on = Rates(norm.sf(0.55), norm.cdf(0.55 - MU))
    assert allowed(on, gaussian(MU))
    assert not allowed(on, gaussian(0.97 * MU))


@pytest.mark.parametrize("mu, expected", [(MU, 1.0), (2 * MU, 0.5), (0.5 * MU, 2.0), (20.0, 0.25), (0.0, 100.0)])
def test_the_scale_of_the_noise_is_found(mu: float, expected: float) -> None:
    rates = (Rates(norm.sf(mu / 2), norm.cdf(-mu / 2)),)
    found = scale_upper(rates, lambda factor: gaussian(MU / factor))
    # The curve is looked at from a few epsilons only, so a little more noise than the truth still passes.
    assert expected * 0.999 <= found <= expected * 1.03


def test_epsilons_are_ordered_and_reach_from_zero_to_beyond_any_claim() -> None:
    assert EPSILONS[0] == 0.0 and EPSILONS[-1] >= 50.0 and np.all(np.diff(EPSILONS) > 0)
