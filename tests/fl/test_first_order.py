"""The first-order yardstick learns, and its loss is the one the zeroth-order method is measured by."""

from __future__ import annotations

import pytest
import torch

from fl.first_order import first_order_accuracy, option_loss
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.session import experiment_task


@pytest.fixture(scope="module")
def setup(make_experiment, tiny_model):
    experiment = make_experiment()
    task = experiment_task(experiment)
    model = load_model(str(tiny_model))
    likelihood = OptionLikelihood(model, task.options, 8)
    return model, likelihood, [likelihood.encode(task.prompt(e), e.label) for e in task.train]


def test_its_loss_is_the_option_likelihoods(setup):
    model, likelihood, examples = setup
    with torch.inference_mode():
        loss = float(option_loss(model.network, likelihood, examples[:9]))
    assert loss == pytest.approx(likelihood.losses(examples[:9]).mean(), abs=1e-5)


def test_a_few_steps_lower_the_loss(setup, tiny_model):
    _, likelihood, examples = setup
    network = load_model(str(tiny_model)).network.requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = option_loss(network, likelihood, examples[:24])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.05


def test_the_yardstick_is_a_public_deterministic_accuracy(make_experiment):
    told = []
    options = {"steps": 4, "batch": 8, "rate": 1e-3}
    first = first_order_accuracy(make_experiment(), report=lambda step, steps: told.append((step, steps)), **options)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert 0 <= first <= 1
    assert first * 40 == pytest.approx(round(first * 40))
    assert first_order_accuracy(make_experiment(), **options) == first
