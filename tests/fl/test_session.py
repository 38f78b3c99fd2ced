"""What a run is built from: the directions of the experiment, over the weights it selects."""

from __future__ import annotations

import numpy as np
import pytest

from fl import session
from fl.guarantee import guarantee_of
from fl.models import load_model
from fl.update import RoundUpdate, own_moves
from privacy.accounting import epsilon
from radio.errors import InputError

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


GAINS = ["*layer_norm*"]
SPLIT = {"learning.estimator": "split", "learning.split_width": 2, "learning.perturbations": 4}


@pytest.mark.parametrize(
    ("changes", "probe"),
    [
        ({}, "central"),  # matrices of full rank
        ({"learning.parameters": GAINS}, "untouched"),
        ({"learning.parameters": GAINS, "learning.functional": False}, "central"),
        ({"learning.parameters": GAINS, "learning.estimator": "one-sided"}, "untouched"),
        ({"learning.direction": "low-rank"}, "untouched"),
        ({"learning.direction": "low-rank", "learning.functional": True}, "untouched"),
        ({"learning.parameters": GAINS, **SPLIT}, "split:2"),
        (SPLIT, "split:2"),
    ],
)
def test_weights_stay_untouched_where_all_that_is_trained_lets_them(build, changes, probe):
    assert build(changes).probe == probe


def test_functional_evaluation_that_is_impossible_is_refused(build):
    with pytest.raises(InputError, match=r"learning.functional = true, but .*fc1.weight.*'rademacher'; allowed: gains"):
        build({"learning.functional": True})


def test_a_split_counts_the_passes_of_its_own_cut(build):
    # one of two blocks below the cut, two upper directions for each lower one
    assert build(SPLIT).passes(4) == pytest.approx(2 * 4 * (0.5 / 2 + 0.5))


@pytest.mark.parametrize("cut", [2, 7])
def test_a_split_with_nothing_above_it_is_refused(build, cut):
    with pytest.raises(
        InputError, match=rf"learning.split_layer = {cut} of a model with 2 decoder blocks; allowed: 1 to 1"
    ):
        build({**SPLIT, "learning.split_layer": cut})


@pytest.mark.parametrize(("patterns", "side"), [(["*layers.0.*"], "below"), (["*layers.1.*"], "above")])
def test_a_split_beside_everything_that_is_trained_is_refused(build, patterns, side):
    with pytest.raises(InputError, match=f"lies {side} the cut"):
        build({**SPLIT, "learning.parameters": patterns})


def test_noise_is_sized_for_every_local_step(make_experiment):
    one, two = (make_experiment({"learning.local_steps": steps}) for steps in (1, 2))
    assert (one.releases, two.releases) == (14, 28)  # 6 rounds and 8 spares
    charge = guarantee_of(two).charge
    assert charge.noise_multiplier > guarantee_of(one).charge.noise_multiplier
    assert 0.45 < epsilon([(charge, 28)], 1e-5) <= 0.5
