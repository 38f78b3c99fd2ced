"""Optimisers without buffers against textbook ones with buffers as large as the weights, and what interruptions change."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fl.directions.rademacher import Rademacher, signs
from fl.journal import Journal, read_history
from fl.optimisers.optimiser import CUT, window
from fl.optimisers.registry import optimiser
from fl.update import Carried, RoundUpdate, own_moves
from fl.weights import Weights, digest

NAMES = ("sgd", "momentum", "adam", "normalised")
SIZE = 300


def start() -> dict[str, np.ndarray]:
    return {"w": np.random.default_rng(1).normal(0, 0.05, SIZE).astype(np.float32)}


def rounds(count: int, perturbations: int) -> list[tuple[int, list[float], float]]:
    """(seed, mean, rate) of each, with a cosine schedule."""
    rng = np.random.default_rng(count + perturbations)
    return [
        (
            1000 + t,
            rng.normal(0.3, 2.0, perturbations).tolist(),
            1e-3 * 0.5 * (1 + math.cos(math.pi * t / count)),
        )
        for t in range(count)
    ]


def step(made, journal, slot, seed, mean, rate) -> None:
    """As `fl.rounds.run_round` commits."""
    taken = made.step(mean, rate)
    last = journal.history.last
    carried = Carried(taken.decay, taken.rounds, last) if taken.rounds and last is not None else None
    update = RoundUpdate(seed, 1e-3, len(mean), "untouched", own_moves(seed, taken.own), carried)
    journal.commit(slot, update, rate, list(mean), 3)


def run(name, folder, log, momentum=0.9):
    """Weights after a run, taken round by round, and its journal's folder."""
    weights = start()
    moved = Weights(weights, Rademacher())
    made = optimiser(name, len(log[0][1]), momentum)
    journal = Journal(folder, {})
    for slot, (seed, mean, rate) in enumerate(log):
        step(made, journal, slot, seed, mean, rate)
        moved.move(journal.history.last.moves)
        moved.settle()
    journal.close()
    return weights


def gradient(seed: int, mean: list[float]) -> np.ndarray:
    return sum(m * signs("w", SIZE, seed, j).astype(np.float64) for j, m in enumerate(mean)) / len(mean)


def dense(name: str, log, beta: float = 0.9) -> np.ndarray:
    """The same in fp64 with buffers."""
    w = start()["w"].astype(np.float64)
    u, v = np.zeros(SIZE), np.zeros(SIZE)
    for t, (seed, mean, rate) in enumerate(log, start=1):
        g = gradient(seed, mean)
        if name == "sgd":
            w = w - rate * g
        elif name == "momentum":
            u = beta * u + g
            w = w - rate * u
        elif name == "normalised":
            w = w - rate * g / np.std(mean)
        else:
            u = beta * u + (1 - beta) * g
            v = 0.999 * v + 0.001 * g**2
            w = w - rate * (u / (1 - beta**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize(
    "name, perturbations", [("sgd", 3), ("momentum", 1), ("momentum", 3), ("adam", 1), ("normalised", 4)]
)
def test_within_the_window_it_is_the_dense_optimiser(name, perturbations, tmp_path):
    log = rounds(60, perturbations)  # shorter than the window of 66
    ours = run(name, tmp_path, log)["w"]
    moves = 60 * 61 // 2 * perturbations
    rounding = np.abs(ours).max() * 2.0**-24 * np.sqrt(moves) * 5
    np.testing.assert_allclose(ours, dense(name, log), atol=rounding, rtol=0)
    assert np.abs(ours - start()["w"]).max() > 100 * rounding


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_what_the_window_cuts_is_within_the_stated_bound(name, tmp_path):
    log = rounds(200, 1)
    ours, wanted = run(name, tmp_path, log, momentum=0.8)["w"], dense(name, log, beta=0.8)
    # each direction's whole travel is off by less than CUT; Adam's scale is bounded by its smallest second moment
    if name == "momentum":
        travel = sum(rate * abs(mean[0]) / (1 - 0.8) for _, mean, rate in log)
    else:
        squares = [np.mean([mean[0] ** 2 for _, mean, _ in log[: t + 1]]) for t in range(200)]
        travel = sum(rate * abs(mean[0]) / math.sqrt(0.5 * min(squares)) for _, mean, rate in log)
    assert np.abs(ours - wanted).max() < CUT * travel
    assert np.abs(ours - wanted).max() > 0


@hypothesis_settings(max_examples=50)
@given(beta=st.floats(0.01, 0.99))
def test_the_window_is_the_first_power_below_the_cut(beta):
    k = window(beta)
    assert beta**k < CUT * (1 + 1e-9)
    assert beta ** (k - 1) >= CUT * (1 - 1e-9)
    kept = sum(beta**i for i in range(k))
    assert 1 - kept * (1 - beta) < CUT * (1 + 1e-9)
    assert window(0.9) == 66


def test_adams_second_moment_is_the_mean_over_independent_signs():
    mean, rate = [2.0, -1.0, 0.5], 0.01
    each = [np.dot(mean, z) / 3 for z in itertools.product((1, -1), repeat=3)]
    root = math.sqrt(np.mean(np.square(each)))
    taken = optimiser("adam", 3, 0.9).step(mean, rate)
    np.testing.assert_allclose(taken.own, rate * np.array(mean) / 3 / (root + 1e-8), rtol=1e-12)
    # one direction: a first step of the rate itself, whatever was measured
    assert optimiser("adam", 1, 0.9).step([-40.0], rate).own == pytest.approx([-rate])


@hypothesis_settings(max_examples=50)
@given(
    losses=st.lists(st.floats(0.1, 5.0), min_size=3, max_size=9, unique_by=lambda x: round(x, 3)),
    mu=st.floats(1e-4, 1e-1),
)
def test_normalised_is_fzoos_step_from_losses(losses, mu):
    home, *ahead = losses
    mean = [(loss - home) / mu for loss in ahead]
    taken = optimiser("normalised", len(ahead), 0.9).step(mean, 0.02)
    wanted = 0.02 * (np.array(ahead) - home) / (len(ahead) * np.std(ahead))
    np.testing.assert_allclose(taken.own, wanted, rtol=1e-6)


def test_directions_that_all_say_the_same_have_no_scale_and_move_nothing():
    assert optimiser("normalised", 3, 0.9).step([0.5, 0.5, 0.5], 0.1).own == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_takes_the_same_moves_and_ends_in_the_same_weights(name, tmp_path):
    log = rounds(90, 2)
    whole = run(name, tmp_path / "whole", log, momentum=0.8)
    parts = tmp_path / "parts"
    journal = Journal(parts, {})
    made = optimiser(name, 2, 0.8)
    for slot, (seed, mean, rate) in enumerate(log):
        if slot in (1, 2, 40, 77):
            journal.close()
            journal = Journal(parts)
            made = optimiser(name, 2, 0.8, journal.history.received)
        if slot == 50:
            journal.erase(1000, RoundUpdate(7, 1e-3, 2, "untouched"), "interference")  # counts for nothing
        step(made, journal, slot, seed, mean, rate)
    journal.close()
    ours = [u for u in read_history(parts).updates if u.own]
    theirs = read_history(tmp_path / "whole").updates
    assert ours == theirs
    assert [u.moves for u in ours] == [u.moves for u in theirs]
    replayed = start()
    Weights(replayed, Rademacher()).replay(ours)
    assert digest(replayed) == digest(whole)


def test_a_round_of_momentum_is_two_numbers_more_in_the_journal(tmp_path):
    for name in ("sgd", "momentum"):
        run(name, tmp_path / name, rounds(100, 1))
    sizes = {name: (tmp_path / name / "journal.jsonl").stat().st_size for name in ("sgd", "momentum")}
    assert sizes["momentum"] - sizes["sgd"] < 100 * 50
    last = read_history(tmp_path / "momentum").updates[-1]
    assert len(last.moves) == window(0.9)
    assert {m.seed for m in last.moves} == {1000 + t for t in range(34, 100)}


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no optimiser 'lion'; known: sgd, momentum, adam, normalised"):
        optimiser("lion", 1, 0.9)
