"""The split estimator: equal to whole forward passes at moved weights, its trace, its moves, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from fl.decoder import place
from fl.directions.rademacher import Rademacher
from fl.directions.split import Split as TwoBlocks
from fl.estimators.registry import estimator, probe_trace
from fl.estimators.split import LOWER, Split
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.update import Move, RoundUpdate

MU = 1e-3


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=20)


@pytest.fixture
def make(tiny_model, task):
    def build(kind=Split, width: int = 2):
        model = load_model(str(tiny_model))
        likelihood = OptionLikelihood(model, task.options, 2)
        examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train[:7]]
        lower = [name for name in model.arrays if place(name, 2) < 1]
        return Replica(model, likelihood, ("*",), TwoBlocks(Rademacher(), lower), kind(width, 1, 2)), examples

    return build


class Whole(Split):
    """The same estimator by whole forward passes."""

    def measure(self, prober, examples, seed, perturbations, mu):
        losses = np.empty((2, perturbations, len(examples)))
        for stop in self._walk(perturbations, mu):
            prober.move(seed, stop.perturbation, stop.amount)
            if stop.evaluate and stop.perturbation < LOWER:
                losses[stop.sign, stop.perturbation] = prober.losses(examples)
        return ((losses[0] - losses[1]) / (2 * mu)).T


def test_activations_used_again_give_the_bits_of_whole_forward_passes(make):
    reusing, examples = make()
    whole, _ = make(Whole)
    np.testing.assert_array_equal(reusing.projections(examples, 8, 4, MU), whole.projections(examples, 8, 4, MU))
    assert reusing.digest() == whole.digest()


def test_the_two_points_are_those_of_the_definition(make):
    replica, examples = make()
    measured = replica.projections(examples, 8, 4, MU)
    losses = []
    for sign in (1, -1):
        moved, _ = make()
        arrays = moved.model.arrays
        z = TwoBlocks(Rademacher(), [name for name in arrays if place(name, 2) < 1])
        for name, array in arrays.items():  # g_{1,0}: the second lower direction, the third upper one
            array += np.float32(sign * MU) * (
                z.values(name, array.shape, 8, LOWER + 1) + z.values(name, array.shape, 8, 2)
            )
        losses.append(moved.losses(examples))
    np.testing.assert_allclose(measured[:, 2], (losses[0] - losses[1]) / (2 * MU), atol=2e-3)


def test_removing_any_one_example_changes_no_other_projection_by_one_bit(make):
    replica, examples = make()
    whole = replica.projections(examples, 8, 2, MU)
    for i in range(len(examples)):
        fresh, _ = make()
        without = fresh.projections(examples[:i] + examples[i + 1 :], 8, 2, MU)
        np.testing.assert_array_equal(without, np.delete(whole, i, axis=0))


def test_the_trace_is_known_by_name_and_ends_at_home():
    assert probe_trace("split:2", 2, MU) == (
        (LOWER, MU), (0, MU), (0, -MU), (1, MU), (1, -MU),
        (LOWER, -2 * MU), (0, -MU), (0, MU), (1, -MU), (1, MU),
        (LOWER, MU),
    )  # fmt: skip
    for width in (1, 3):
        sums: dict[int, float] = {}
        for perturbation, amount in probe_trace(f"split:{width}", 6, 0.5):
            sums[perturbation] = sums.get(perturbation, 0.0) + amount
        assert set(sums.values()) == {0.0}
        assert set(sums) == {*range(6), *range(LOWER, LOWER + 6 // width)}


def test_live_rounds_equal_their_replay(make):
    lived, examples = make()
    updates = [RoundUpdate(s, MU, 4, "split:2", Split(2).moves(s, (0.01, -0.02, 0.03, 0.04))) for s in range(3)]
    for update in updates:
        lived.projections(examples, update.seed, 4, MU)
        lived.update(update)
    replayed, _ = make()
    replayed.replay(updates)
    empty, _ = make()
    for update in updates:
        empty.projections([], update.seed, 4, MU)
        empty.update(update)
    assert lived.probe == "split:2"
    assert lived.digest() == replayed.digest() == empty.digest()


def test_the_lower_block_moves_by_the_mean_and_the_upper_by_each():
    # rate / P = 1/4 times the scalars 4, 8, 12, 16; the lower block's step is rate / J times the mean over two: (6, 14) / 2
    assert Split(2).moves(5, (1.0, 2.0, 3.0, 4.0)) == (
        Move(5, LOWER, -3.0),
        Move(5, LOWER + 1, -7.0),
        *(Move(5, i, -float(i + 1)) for i in range(4)),
    )


def test_passes_count_by_layers():
    # four directions of the upper nine blocks of twelve for each of the lower three: per side 1/4 + 4 * 3/4
    assert Split(4, 3, 12).passes(4) == pytest.approx(2 * (0.25 + 4 * 0.75))
    assert Split(1, 6, 12).passes(5) == pytest.approx(estimator("central").passes(5))
    assert estimator("split:4", 3, 12) == Split(4, 3, 12)
    for name in ("split", "split:", "split:0", "split:x"):
        with pytest.raises(ValueError, match="no estimator"):
            estimator(name)
