"""Adapters start as nothing, the same everywhere; only they move; merged, the model is a plain OPT with the same answers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from fl.likelihood import OptionLikelihood
from fl.lora import merge_adapters
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.update import RoundUpdate, own_moves
from radio.errors import InputError


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=20)


def replica(tiny_model, task, rank: int = 4):
    model = load_model(str(tiny_model), lora_rank=rank)
    likelihood = OptionLikelihood(model, task.options, 4)
    return Replica(model, likelihood, ("*lora_*",)), [
        likelihood.encode(task.prompt(e), e.label) for e in task.train[:6]
    ]


def test_adapters_change_nothing_at_the_start_and_are_the_same_whatever_torchs_seed(tiny_model, task):
    plain = load_model(str(tiny_model))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, examples = replica(tiny_model, task)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    second, _ = replica(tiny_model, task)
    assert first.digest() == second.digest()
    wanted = OptionLikelihood(plain, task.options, 4).losses(examples)
    np.testing.assert_allclose(first.losses(examples), wanted, atol=1e-6)
    # two layers, query and value: A (4, 32) and B (32, 4) each
    assert first.trainable == 2 * 2 * 2 * 4 * 32
    assert first.parameters == plain.parameters + first.trainable


def test_a_few_rounds_lower_the_loss_and_survive_merging(tiny_model, task):
    lived, examples = replica(tiny_model, task)
    before = lived.losses(examples).mean()
    updates = []
    for seed in range(80):
        mean = lived.projections(examples, seed, 1, 1e-3).mean()
        updates.append(RoundUpdate(seed, 1e-3, 1, lived.probe, own_moves(seed, (0.2 * mean,))))
        lived.update(updates[-1])
    after = lived.losses(examples)
    assert after.mean() < before - 0.01
    replayed, _ = replica(tiny_model, task)
    replayed.replay(updates)
    assert replayed.digest() == lived.digest()
    network = replayed.model.network
    merge_adapters(network)
    assert not any("lora" in name or "base_layer" in name for name, _ in network.named_parameters())
    merged = OptionLikelihood(replayed.model, task.options, 4)
    np.testing.assert_allclose(merged.losses(examples), after, atol=1e-5)


def test_a_merged_model_saves_and_loads_as_a_plain_opt(tiny_model, task, tmp_path):
    trained, examples = replica(tiny_model, task)
    trained.replay([RoundUpdate(1, 1e-3, 1, trained.probe, own_moves(1, (0.5,)))])
    wanted = trained.losses(examples)
    merge_adapters(trained.model.network)
    trained.model.save(tmp_path / "out")
    again = OptionLikelihood(load_model(str(tmp_path / "out")), task.options, 4)
    np.testing.assert_allclose(again.losses(examples), wanted, atol=1e-5)


def test_without_peft_the_message_names_the_extra(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"lora_rank = 4 needs peft.*pairzero\[lora\].*make.*-e '\.\[lora\]'"):
        load_model(str(tiny_model), lora_rank=4)
