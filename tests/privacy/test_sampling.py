from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.noise import ReproducibleSecret, SystemSecret
from privacy.sampling import accounted_rate, inclusion_probability, poisson_batch
from radio.errors import InputError

N, RATE, ROUNDS = 200, 0.064, 4000


@pytest.fixture(scope="module")
def inclusions() -> np.ndarray:
    """(ROUNDS, N) who took part."""
    table = np.zeros((ROUNDS, N), dtype=bool)
    for t in range(ROUNDS):
        table[t, poisson_batch(ReproducibleSecret(11, "round", t, "batch"), N, RATE)] = True
    return table


def test_every_example_is_included_at_the_rate(inclusions: np.ndarray) -> None:
    share = inclusions.mean(axis=0)
    spread = math.sqrt(RATE * (1 - RATE) / ROUNDS)
    assert np.abs(share - RATE).max() < 5 * spread
    assert inclusions.mean() == pytest.approx(RATE, abs=5 * spread / math.sqrt(N))


def test_batch_sizes_have_the_binomial_variance(inclusions: np.ndarray) -> None:
    # a shuffled loader would have none: this is what tells Poisson sampling from it
    sizes = inclusions.sum(axis=1)
    variance = N * RATE * (1 - RATE)
    assert sizes.mean() == pytest.approx(N * RATE, abs=5 * math.sqrt(variance / ROUNDS))
    assert sizes.var() == pytest.approx(variance, rel=5 * math.sqrt(2.2 / ROUNDS))


def test_examples_and_rounds_are_independent(inclusions: np.ndarray) -> None:
    z = (inclusions - RATE) / math.sqrt(RATE * (1 - RATE))
    between_examples = z.T @ z / ROUNDS
    np.fill_diagonal(between_examples, 0.0)
    assert np.abs(between_examples).max() < 6.5 / math.sqrt(ROUNDS)
    between_rounds = (z[1:] * z[:-1]).mean()
    assert abs(between_rounds) < 5 / math.sqrt(ROUNDS * N)


def test_rate_one_takes_all_and_tiny_rates_almost_none() -> None:
    assert poisson_batch(SystemSecret(), 5, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert poisson_batch(SystemSecret(), 1000, 1e-15).size == 0
    assert poisson_batch(SystemSecret(), 0, 0.5).size == 0


def test_batches_differ_from_round_to_round_without_a_seed() -> None:
    batches = {tuple(poisson_batch(SystemSecret(), 100, 0.5)) for _ in range(50)}
    assert len(batches) == 50


@settings(derandomize=True, deadline=None)
@given(st.floats(1e-25, 1.0))
def test_the_charged_rate_is_never_below_the_real_one(rate: float) -> None:
    real = inclusion_probability(rate)
    assert real <= Fraction(rate) < real + Fraction(1, 2**64)
    assert real <= Fraction(accounted_rate(rate)) <= Fraction(rate)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5, math.nan])
def test_impossible_rates_are_explained(rate: float) -> None:
    with pytest.raises(InputError, match="allowed"):
        poisson_batch(SystemSecret(), 10, rate)
