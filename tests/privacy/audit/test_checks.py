from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from privacy.accounting import Charge
from privacy.audit import checks
from privacy.audit.faults import clip_of_sum, mean_of_batch
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret
from privacy.sampling import poisson_batch
from privacy.unit import EXAMPLE
from radio.streams import stream

N, RATE, ROUNDS = 100, 0.1, 300
GRID = Grid(clip=2.0, denominator=10.0)
OWN = OwnNoise(GRID, 1, Charge(RATE, 3.0))


def noise(seed: int, mechanism: OwnNoise = OWN) -> np.ndarray:
    return np.concatenate([mechanism.release(np.zeros((0, 1)), ReproducibleSecret(seed, t)) for t in range(400)])


def batches() -> np.ndarray:
    taken = np.zeros((ROUNDS, N), dtype=bool)
    for t in range(ROUNDS):
        taken[t, poisson_batch(ReproducibleSecret(5, t), N, RATE)] = True
    return taken


def test_the_real_noise_is_as_strong_as_claimed_and_half_of_it_is_found_out() -> None:
    assert not checks.noise_variance(noise(1), OWN.noise_std).flagged
    weak = OwnNoise(GRID, 1, Charge(RATE, 3.0 / np.sqrt(2.0)))
    assert checks.noise_variance(noise(1, weak), OWN.noise_std).flagged


def test_noise_that_is_too_strong_is_no_fault_of_privacy() -> None:
    assert not checks.noise_variance(noise(1), 0.5 * OWN.noise_std).flagged


def test_noise_is_secret_unless_it_repeats_or_a_guess_is_right() -> None:
    first, second, guess = noise(1), noise(2), stream(1, "guess").standard_normal(400)
    assert not checks.noise_is_secret(first, second, [guess]).flagged
    assert checks.noise_is_secret(first, first.copy(), []).flagged
    assert checks.noise_is_secret(first, second, [guess, 3.0 * first + 0.5 * second]).flagged


def test_real_batches_are_poisson() -> None:
    assert not checks.poisson_sampling(batches(), RATE).flagged


def test_shuffled_batches_are_not() -> None:
    orders = [stream(1, "epoch", e).permutation(N).reshape(10, 10) for e in range(ROUNDS // 10)]
    taken = np.zeros((ROUNDS, N), dtype=bool)
    for t, part in enumerate(np.concatenate(orders)):
        taken[t, part] = True
    assert checks.poisson_sampling(taken, RATE).flagged


def test_batches_of_one_size_are_not_poisson_even_where_every_round_is_drawn_anew() -> None:
    taken = np.zeros((ROUNDS, N), dtype=bool)
    for t in range(ROUNDS):
        taken[t, stream(1, "fixed", t).choice(N, 10, replace=False)] = True
    assert checks.poisson_sampling(taken, RATE).flagged


def test_more_examples_than_charged_for_are_found_out() -> None:
    taken = stream(1, "too many").random((ROUNDS, N)) < 1.2 * RATE
    assert checks.poisson_sampling(taken, RATE).flagged


@pytest.mark.parametrize("project, flagged", [(None, False), (clip_of_sum, True), (mean_of_batch, True)])
def test_no_example_moves_the_payload_further_than_its_clip(project, flagged: bool) -> None:
    clean = OWN.clean if project is None else partial(project, GRID)
    few = np.array([[2.0], [2.0], [2.0], [-2.0]])
    wild = np.array([[300.0], [-1.0], [0.5]])
    assert checks.sensitivity(clean, [few, wild], EXAMPLE.sensitivity(GRID, 1)).flagged == flagged


def test_rounds_on_the_air_must_not_outnumber_the_charges() -> None:
    assert not checks.charged_rounds(20, 20).flagged and not checks.charged_rounds(19, 20).flagged
    assert checks.charged_rounds(21, 20).flagged


def test_one_bit_is_enough() -> None:
    losses = np.array([0.5, 0.25])
    assert not checks.same_bits(losses, losses.copy()).flagged
    assert checks.same_bits(losses, np.nextafter(losses, 1.0)).flagged
