"""The two-point estimates are directional derivatives; probing is part of the weights' history, examples or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fl.directions.rademacher import signs
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.update import RoundUpdate, own_moves
from radio.errors import InputError

NORM = "model.decoder.final_layer_norm.weight"


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=20)


@pytest.fixture
def make(tiny_model, task):
    def build(*patterns: str, rows: int = 4):
        model = load_model(str(tiny_model))
        likelihood = OptionLikelihood(model, task.options, rows)
        examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train[:6]]
        return Replica(model, likelihood, patterns), examples

    return build


def gradients(replica: Replica, examples) -> list[dict[str, np.ndarray]]:
    """Autograd's gradient of each example's option loss, by transformers' own forward in fp64."""
    network = replica.model.network.double().requires_grad_(True)
    out = []
    for example in examples:
        logits = network(input_ids=torch.tensor([example.ids])).logits[0, -1, replica.likelihood.option_ids]
        network.zero_grad()
        torch.nn.functional.cross_entropy(logits[None], torch.tensor([example.label])).backward()
        out.append({n: p.grad.numpy().reshape(-1).copy() for n, p in network.named_parameters()})
    return out


@pytest.mark.parametrize("patterns", [("*layer_norm*", "*.bias"), ("*",)])
def test_projections_are_directional_derivatives(make, patterns):
    replica, examples = make(*patterns)
    names = list(replica.model.select(patterns))
    near = replica.projections(examples, 99, 2, 1e-4)
    far = make(*patterns)[0].projections(examples, 99, 2, 1e-3)
    assert near.shape == far.shape == (6, 2)
    slopes = gradients(make(*patterns)[0], examples)
    wanted = np.array(
        [[sum(float(g[n] @ signs(n, g[n].size, 99, j)) for n in names) for j in range(2)] for g in slopes]
    )
    # The error falls as mu^2, but where a perturbation flips a ReLU as mu only.
    scale = np.abs(wanted).max()
    error = np.abs(near - wanted)
    assert np.median(error) < 1e-2 * scale
    assert error.max() < 0.06 * scale
    assert np.median(error) < 0.5 * np.median(np.abs(far - wanted))


def test_the_mean_of_estimate_times_direction_is_the_gradient(make):
    replica, examples = make(NORM, rows=2)
    examples = examples[:2]
    wanted = np.mean([g[NORM] for g in gradients(make(NORM)[0], examples)], axis=0)
    total = np.zeros_like(wanted)
    seeds = 160
    for seed in range(seeds):
        total += replica.projections(examples, seed, 1, 1e-2).mean() * signs(NORM, wanted.size, seed, 0)
    estimate = total / seeds
    # For +-1 directions E|estimate - g|^2 = |g|^2 (d - 1) / n
    expected_error = np.linalg.norm(wanted) * np.sqrt((wanted.size - 1) / seeds)
    assert np.linalg.norm(estimate - wanted) < 2 * expected_error
    assert estimate @ wanted / np.linalg.norm(estimate) / np.linalg.norm(wanted) > 0.8


def test_each_projection_is_the_examples_own_to_the_last_bit(make):
    replica, examples = make("*")
    together = replica.projections(examples, 5, 2, 1e-3)
    for i in range(len(examples)):
        fresh, _ = make("*")
        np.testing.assert_array_equal(
            fresh.projections(examples[:i] + examples[i + 1 :], 5, 2, 1e-3), np.delete(together, i, axis=0)
        )


def test_probing_leaves_the_same_weights_with_and_without_examples(make):
    full, examples = make("*")
    empty, _ = make("*")
    replayed, _ = make("*")
    start = full.digest()
    full.projections(examples, 5, 3, 1e-3)
    assert empty.projections([], 5, 3, 1e-3).shape == (0, 3)
    replayed.replay([RoundUpdate(5, 1e-3, 3)])
    assert full.digest() == empty.digest() == replayed.digest() != start


def test_live_rounds_equal_their_replay(make):
    lived, examples = make("*layer_norm*")
    updates = [RoundUpdate(seed, 1e-3, 2, "central", own_moves(seed, (0.01, -0.02))) for seed in range(4)]
    for update in updates:
        lived.projections(examples, update.seed, update.perturbations, update.mu)
        lived.update(update)
    replayed, _ = make("*layer_norm*")
    replayed.replay(updates)
    assert lived.digest() == replayed.digest()


def test_only_selected_weights_move_and_are_counted(make):
    replica, _ = make(NORM)
    before = {n: a.copy() for n, a in replica.model.arrays.items()}
    assert replica.trainable == before[NORM].size == 32
    assert replica.parameters == sum(a.size for a in before.values())
    replica.replay([RoundUpdate(1, 1e-3, 1, "central", own_moves(1, (0.1,)))])
    assert [n for n, a in replica.model.arrays.items() if not np.array_equal(a, before[n])] == [NORM]


def test_a_pattern_that_matches_nothing_is_refused(make):
    with pytest.raises(InputError, match=r"learning.parameters.*'\*lora\*'"):
        make("*lora*")
