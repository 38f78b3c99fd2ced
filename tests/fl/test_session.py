"""What a run is built from: the directions of the experiment, over the weights it selects."""

from __future__ import annotations

import numpy as np
import pytest

from fl import session
from fl.models import load_model
from fl.update import RoundUpdate, own_moves

PATTERNS = ("*layer_norm*", "*fc1.weight")
UPDATES = [RoundUpdate(3 << 32 | t, 0.01, 2, "central", own_moves(3 << 32 | t, (0.1, -0.2))) for t in range(3)]


@pytest.fixture
def build(make_experiment):
    def replica(changes=None):
        experiment = make_experiment({"learning.parameters": PATTERNS, **(changes or {})})
        return session.build_replica(experiment, session.experiment_task(experiment))

    return replica


@pytest.fixture(scope="module")
def start(tiny_model):
    return load_model(str(tiny_model)).select(PATTERNS)


def moved(replica, start) -> dict[str, np.ndarray]:
    """Where the selected weights have changed after three rounds."""
    replica.replay(UPDATES)
    after = replica.model.select(PATTERNS)
    return {name: after[name] != start[name] for name in start}


@pytest.mark.parametrize("name", ["rademacher", "gaussian", "low-rank"])
def test_a_dense_direction_moves_every_selected_weight(build, start, name):
    replica = build({"learning.direction": name})
    size = sum(array.size for array in start.values())
    assert replica.trainable == size
    # a rank-2 product of signs is 0 in half of its entries, so three rounds of two directions leave 1/64
    assert sum(int(where.sum()) for where in moved(replica, start).values()) > 0.95 * size


def test_the_mask_of_a_run_is_the_largest_of_its_selected_weights(build, start):
    replica = build({"learning.density": 0.1})
    size = sum(array.size for array in start.values())
    assert replica.trainable == round(0.1 * size)
    where = moved(replica, start)
    assert sum(int(mask.sum()) for mask in where.values()) == replica.trainable
    magnitudes = {name: np.abs(array) for name, array in start.items()}
    smallest_in = min(magnitudes[n][where[n]].min(initial=np.inf) for n in start)
    largest_out = max(magnitudes[n][~where[n]].max(initial=0) for n in start)
    assert smallest_in >= largest_out


def test_a_random_mask_is_named_by_the_public_seed(build, start):
    settings = {"learning.density": 0.1, "learning.mask": "random"}
    one, again, other = (moved(build({**settings, "run.seed": seed}), start) for seed in (1, 1, 2))
    assert all((one[n] == again[n]).all() for n in start)
    assert any((one[n] != other[n]).any() for n in start)
