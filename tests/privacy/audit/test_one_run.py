from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from privacy.audit.one_run import chance_of_guesses, epsilon_from_guesses, one_run_epsilon, recursion_scores
from radio.streams import stream


def test_without_delta_the_guesses_are_a_binomial_of_randomised_response() -> None:
    accuracy = math.e / (1 + math.e)
    assert chance_of_guesses(100, 50, 45, 1.0, 0.0) == pytest.approx(binom.sf(44, 50, accuracy))


def test_delta_adds_at_most_twice_the_canaries_times_the_largest_mean_of_the_tail() -> None:
    guesses, right, accuracy = 40, 35, 0.5
    means = [sum(binom.pmf(right - j, guesses, accuracy) for j in range(1, i + 1)) / i for i in range(1, right + 1)]
    expected = binom.sf(right - 1, guesses, accuracy) + 2 * 100 * 1e-3 * max(means)
    assert chance_of_guesses(100, guesses, right, 0.0, 1e-3) == pytest.approx(expected)


def test_the_bound_is_where_the_chance_meets_the_error() -> None:
    found = epsilon_from_guesses(1000, 100, 95, 1e-5, 0.95)
    assert chance_of_guesses(1000, 100, 95, found, 1e-5) == pytest.approx(0.05, rel=1e-2)
    assert 1.5 < found < math.log(95 / 5)
    assert epsilon_from_guesses(1000, 100, 52, 1e-5, 0.95) == 0.0


def test_scores_that_tell_all_show_much_and_scores_that_tell_nothing_show_nothing() -> None:
    taken = stream(1, "coins").integers(0, 2, 400).astype(bool)
    noise = stream(2, "scores").standard_normal(400)
    assert one_run_epsilon(10.0 * taken + noise, taken, 1e-5) > 3.0
    assert one_run_epsilon(noise, taken, 1e-5) == 0.0


def test_a_lone_canary_in_the_recursion_moves_its_weight_by_rate_times_rounds() -> None:
    taken = np.zeros(50, dtype=bool)
    taken[7] = True
    moved = recursion_scores(taken, 4000, 0.5, 0.0, stream(3, "recursion"))
    assert moved[7] == pytest.approx(2000, abs=5 * math.sqrt(1000))
    assert np.abs(np.delete(moved, 7)).max() < 5 * math.sqrt(2000)
