"""The bf16 copy follows the fp32 masters exactly; the log of the weights does not know of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fl.half import HalfCopy, round_to_bfloat16
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.update import RoundUpdate, own_moves


@given(st.lists(st.floats(width=32, min_value=-(2.0**120), max_value=2.0**120), min_size=1))
def test_rounding_is_torchs(values):
    source = np.array(values, np.float32)
    out = np.empty(source.size, np.uint16)
    round_to_bfloat16(source, out)
    wanted = torch.from_numpy(source).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(out, wanted)


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=20)


@pytest.fixture
def make(tiny_model, task):
    def build(half: bool, *patterns: str):
        model = load_model(str(tiny_model))
        likelihood = OptionLikelihood(model, task.options, 4)
        examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train[:6]]
        return Replica(model, likelihood, patterns, half=half), examples

    return build


@pytest.mark.parametrize("patterns", [("*",), ("*layer_norm*",), ("*fc1*",)])
def test_the_log_is_the_same_whatever_the_forward_computes_in(make, patterns):
    full, examples = make(False, *patterns)
    half, _ = make(True, *patterns)
    assert half.digest() == full.digest()
    assert half.parameters == full.parameters and half.trainable == full.trainable
    update = RoundUpdate(7, 1e-2, 2, full.probe, own_moves(7, (0.01, -0.02)))
    for replica in (full, half):
        replica.projections(examples, 7, 2, 1e-2)
        replica.update(update)
    assert half.digest() == full.digest()


def test_the_copy_is_the_rounded_masters_and_norms_stay_fp32(make):
    replica, examples = make(True, "*")
    replica.projections(examples, 3, 1, 1e-2)
    replica.update(RoundUpdate(3, 1e-2, 1, replica.probe, own_moves(3, (0.05,))))
    model = replica.model
    reference, _ = make(False, "*")
    reference.replay([RoundUpdate(3, 1e-2, 1, "central", own_moves(3, (0.05,)))])
    for name, parameter in model.network.named_parameters():
        wanted = torch.from_numpy(reference.model.arrays[name])
        assert parameter.dtype == (torch.float32 if "layer_norm" in name else torch.bfloat16)
        assert torch.equal(parameter, wanted.to(parameter.dtype)), name


def test_losses_are_those_of_fp32_to_bf16s_precision(make):
    full, examples = make(False, "*")
    half, _ = make(True, "*")
    np.testing.assert_allclose(half.losses(examples), full.losses(examples), atol=0.02)
    assert not np.array_equal(half.losses(examples), full.losses(examples))


def test_only_what_moves_keeps_an_fp32_master(tiny_model):
    network = load_model(str(tiny_model)).network
    name = "model.decoder.layers.0.fc1.weight"
    masters = {name: dict(network.named_parameters())[name].detach().numpy()}
    HalfCopy(network, masters)
    assert masters[name].dtype == np.float32
    assert all(p.dtype == torch.bfloat16 for n, p in network.named_parameters() if "layer_norm" not in n)
