from __future__ import annotations

import numpy as np
import pytest

from privacy.power.design import best_rounds, bound, excess_db, one_round_error, sensitivity_db, sensitivity_warning
from privacy.power.schedule import round_weights
from privacy.power.water_filling import water_filling
from radio.errors import InputError


def schedule(rounds: int, contraction: float) -> np.ndarray:
    return np.sqrt(round_weights(rounds, contraction))


def test_the_bound_is_the_weighted_noise_of_the_water_filled_budget() -> None:
    rounds, contraction, gamma, rho, devices = 300, 0.99, 2.0, 0.6, 5
    rate, curvature, start = 1e-3, 40.0, 1.5
    w = round_weights(rounds, contraction)
    u = water_filling(w, np.full(rounds, np.inf), gamma, rho)
    noise = 0.5 * rate**2 * curvature * (w / u).sum() / devices**2
    one = one_round_error(gamma, rho, devices, rate, curvature)
    assert bound(rounds, contraction, start, one) == pytest.approx(contraction**rounds * start + noise, rel=1e-8)
    assert bound(7, 1.0, start, one) == pytest.approx(start + 49 * one)


@pytest.mark.parametrize("contraction", [0.9, 0.99, 0.998])
@pytest.mark.parametrize("noise", [1e-8, 1e-6, 1e-2, 10.0])
def test_no_number_of_rounds_is_better(contraction: float, noise: float) -> None:
    best = best_rounds(contraction, 1.0, noise)
    tried = np.array([bound(t, contraction, 1.0, noise) for t in range(1, 6000)])
    assert best == 1 + int(tried.argmin())


def test_at_the_papers_contraction_more_than_700_rounds_are_forgotten_work() -> None:
    """privacy.md 3.4: T* <= 700 for noise / G0 >= 1e-6 at A = 0.998."""
    assert best_rounds(0.998, 1.0, 1e-6) == 693


def test_excess_is_that_of_the_weights() -> None:
    assert excess_db(schedule(100, 0.97), 0.97) == pytest.approx(0.0, abs=1e-12)
    # flat: T sum w against (sum sqrt w)^2
    w = round_weights(100, 0.97)
    assert excess_db(np.ones(100), 0.97) == pytest.approx(10 * np.log10(100 * w.sum() / np.sqrt(w).sum() ** 2))


def test_a_factor_that_is_too_small_is_the_end_of_a_long_run() -> None:
    """privacy.md 3.4, T = 8000, true A 0.998: designed for 0.9995 a factor of 2, for 0.99 ten to the nine."""
    assert excess_db(schedule(8000, 0.9995), 0.998) == pytest.approx(10 * np.log10(0.0125 / 0.00638), abs=0.15)
    assert excess_db(schedule(8000, 0.99), 0.998) > 80.0
    assert excess_db(np.ones(8000), 0.998) == pytest.approx(6.0, abs=0.1)


def test_the_papers_schedule_is_called_sensitive_and_shorter_or_flatter_ones_are_not() -> None:
    text = sensitivity_warning(schedule(8000, 0.998), 0.998)
    assert "A = 0.998" in text and "3.2 dB" in text and "last 2298 of 8000 rounds" in text
    assert sensitivity_warning(schedule(2000, 0.998), 0.998) == ""
    assert sensitivity_warning(np.ones(8000), 0.998) == ""
    assert sensitivity_db(schedule(8000, 0.998), 0.998, 4.0) > sensitivity_db(schedule(8000, 0.998), 0.998)


def test_impossible_designs_are_explained() -> None:
    with pytest.raises(InputError, match="allowed"):
        best_rounds(1.0, 1.0, 1e-6)
    with pytest.raises(InputError, match="allowed"):
        best_rounds(0.99, 0.0, 1e-6)
    with pytest.raises(InputError, match="allowed"):
        sensitivity_db(np.ones(3), 0.99, 0.5)
