"""Every name trains: it lowers the training loss, and its cost is what the formulas say."""

from __future__ import annotations

import pytest

from fl.baselines.harness import PRESETS, build, prepare, train
from fl.config import Experiment
from radio.errors import InputError

# What differs from ten rounds of the preset: rounds, keys, options.  The subset is a norm's 256 gains unless a method needs
# matrices or both halves of the network.
LEARN: dict[str, tuple[int, dict, dict]] = {
    "pairzero": (3, {}, {}),
    "pairzero-ideal": (3, {}, {}),
    "fzoo": (3, {}, {}),
    "lozo": (8, {"learning.rate": 2e-2}, {}),
    "mezo": (8, {}, {}),
    **{f"paper-{control}": (10, {"privacy.epsilon": 1e6}, {}) for control in ("solution", "static", "reversed")},
    "fedspzo": (6, {}, {}),
    "fedsgd": (4, {}, {}),
    "fedsgd-ota": (4, {}, {}),
    "decomfl": (4, {}, {}),
    "sparse": (
        6,
        {"learning.parameters": ["*layers.0.*layer_norm.weight"], "learning.density": 0.5, "learning.rate": 2e-2},
        {},
    ),
    "fedkseed": (4, {}, {"pool": 64, "local_steps": 4}),
    "fedzo": (3, {}, {"local_steps": 2}),
    "fedzo-ota": (3, {}, {"local_steps": 2}),
    "fedavg-sgd": (3, {}, {"local_steps": 2}),
    "fedavg-adamw": (3, {}, {"local_steps": 2}),
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_algorithm_lowers_the_training_loss(name, make_setting):
    rounds, changes, options = LEARN.get(name, (10, {}, {}))
    setting = make_setting(name, rounds, changes)
    algorithm = build(name, setting, **options)
    before = setting.training_loss()
    for t in range(rounds):
        algorithm.round(t)
    assert setting.training_loss() < before - 0.02


@pytest.mark.parametrize(
    "name, changes, passes, uses",
    [
        ("pairzero", {}, 9, 8),
        ("pairzero", {"learning.perturbations": 3}, 4, 3),
        ("pairzero-central", {}, 2, 1),
        ("pairzero-central", {"learning.perturbations": 3}, 6, 3),
        ("pairzero-central", {"learning.local_steps": 2}, 4, 2),
        ("fzoo", {}, 9, 8),
        ("sign-pairzero", {}, 2, 1),
        # two of four blocks below the cut, four upper directions on each lower one: 2 * 4 * (1/2/4 + 1/2)
        ("fedspzo", {}, 5, 4),
    ],
)
def test_our_rounds_cost_passes_of_the_estimator_and_a_channel_use_a_scalar(name, changes, passes, uses, make_setting):
    setting = make_setting(name, 1, {**changes, "learning.batch": 2})
    cost = build(name, setting).round(0)
    assert cost.passes == pytest.approx(2 * passes)
    assert cost.forwards == pytest.approx(2 * passes * 2)
    assert (cost.uplink_uses, cost.uplink_bits, cost.downlink_bits) == (uses, 0, 2 * uses * 32)


def test_our_rounds_run_with_privacy_and_over_the_simulated_air(make_setting):
    changes = {"radio.mode": "coherent", "privacy.enabled": True, "privacy.clip": 5}
    setting = make_setting("pairzero", 2, changes)
    algorithm = build("pairzero", setting)
    start = setting.replica.digest()
    assert algorithm.round(0).uplink_uses >= 1
    history = algorithm._journal.history
    assert history.rounds == 1 and setting.replica.digest() != start
    charged = [ledger for device in algorithm._transport._members for ledger in [device.ledger]]
    assert all(ledger is not None and ledger.epsilon() > 0 for ledger in charged)


def test_a_curve_holds_loss_accuracy_and_growing_cost(base_experiment):
    curve = train("fedsgd", base_experiment, rounds=5, evaluate_every=2)
    assert curve.rounds == (0, 2, 4, 5)
    assert len(curve.loss) == len(curve.accuracy) == len(curve.cost) == 4
    assert [cost.backwards for cost in curve.cost] == [0, 16, 32, 40]
    assert curve.trainable == 256 and curve.chance_floor == 0.5
    assert curve.loss[-1] < curve.loss[0]


def test_the_same_curve_again(base_experiment):
    first, again = (train("mezo", base_experiment, 2, 1) for _ in range(2))
    assert first == again


def test_a_preset_is_keys_of_the_experiment_and_changes_rule(base_experiment):
    prepared = prepare("decomfl", base_experiment, 7, {"learning.perturbations": 2})
    assert isinstance(prepared, Experiment)
    learning = prepared.learning
    assert (learning.rounds, learning.direction, learning.estimator) == (7, "gaussian", "one-sided")
    assert learning.perturbations == 2
    assert prepared.task == base_experiment.task
    assert prepare("fedkseed", base_experiment, 7).learning.rate == pytest.approx(
        base_experiment.learning.rate * PRESETS["fedkseed"].rate
    )


def test_unknown_names_and_impossible_keys_are_explained(base_experiment):
    with pytest.raises(InputError, match=r"'fedprox' is not known; allowed: pairzero, "):
        train("fedprox", base_experiment, 1, 1)
    with pytest.raises(InputError, match=r"algorithm pairzero: learning\.mu = 2"):
        prepare("pairzero", base_experiment, 1, {"learning.mu": 2})
