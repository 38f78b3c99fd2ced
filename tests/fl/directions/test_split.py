"""A direction on two blocks: each index moves one block, as its base would, and leaves the other alone to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from fl.directions.direction import Operations
from fl.directions.rademacher import Rademacher
from fl.directions.split import Split
from fl.estimators.split import LOWER
from fl.update import Move

MOVES = [Move(1, LOWER, 0.5), Move(1, 0, 0.25), Move(1, 1, -0.125), Move(1, LOWER, -1.0), Move(2, LOWER + 3, 0.75)]


@pytest.mark.parametrize(("parameter", "own"), [("below", (0, 3, 4)), ("above", (1, 2))])
def test_a_block_sees_its_own_moves_only(parameter, own):
    split = Split(Rademacher(), ["below"])
    weights = np.linspace(-1, 1, 5000, dtype=np.float32)
    wanted = weights.copy()
    Rademacher().apply(parameter, wanted, 0, Operations.of([MOVES[i] for i in own]))
    operations = Operations.of(MOVES)
    for first, last in ((0, 4096), (4096, 5000)):
        split.apply(parameter, weights[first:last], first, operations)
    np.testing.assert_array_equal(weights, wanted)


def test_values_are_the_bases_or_zero():
    split = Split(Rademacher(), ["below"])
    for parameter, perturbation in (("below", LOWER + 2), ("above", 2)):
        np.testing.assert_array_equal(
            split.values(parameter, (3, 4), 9, perturbation), Rademacher().values(parameter, (3, 4), 9, perturbation)
        )
    for parameter, perturbation in (("below", 2), ("above", LOWER + 2)):
        np.testing.assert_array_equal(split.values(parameter, (3, 4), 9, perturbation), np.zeros((3, 4)))


def test_nothing_for_a_block_leaves_even_a_minus_zero():
    weights = np.array([-0.0, 1.0], np.float32)
    Split(Rademacher(), []).apply("above", weights, 0, Operations.of([Move(1, LOWER, 0.5)]))
    assert np.signbit(weights[0])
    assert weights[1] == 1.0


def test_operations_of_another_call_are_not_taken_for_the_last_ones():
    split = Split(Rademacher(), ["below"])
    first, second = np.zeros(3, np.float32), np.zeros(3, np.float32)
    split.apply("below", first, 0, Operations.of([Move(1, LOWER, 1.0)]))
    split.apply("below", second, 0, Operations.of([Move(1, LOWER, 2.0)]))
    np.testing.assert_array_equal(second, 2 * first)
