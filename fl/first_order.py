"""The first-order yardstick: the same model, data and loss, trained centrally with AdamW and backpropagation."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from fl.config import Experiment
from fl.likelihood import LENGTH_STEP, Encoded, Likelihood, OptionLikelihood
from fl.models import load_model
from fl.session import experiment_task, held_out, set_threads
from fl.tasks.task import Task
from radio.errors import InputError
from radio.streams import stream


def first_order_accuracy(
    experiment: Experiment,
    task: Task | None = None,
    steps: int = 300,
    batch: int = 64,
    rate: float = 2e-4,
    report: Callable[[int, int], None] = lambda step, steps: None,
) -> float:
    """Held-out accuracy after `steps` AdamW steps on all weights and all devices' data together; no privacy, no radio.

    Rate with 10 % linear warm-up and linear decay; weight decay 0.01.  An upper yardstick, not a federated competitor.
    """
    task = task or experiment_task(experiment)
    set_threads(experiment.run.threads or os.cpu_count() or 1)
    model = load_model(experiment.model.source)
    likelihood = OptionLikelihood(model, task.options, experiment.learning.micro_batch)
    train = [likelihood.encode(task.prompt(e), e.label) for e in task.train]
    network = model.network.requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    rng = stream(experiment.run.seed, "first order")
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps))
        loss = option_loss(network, likelihood, [train[i] for i in rng.integers(len(train), size=batch)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        report(step + 1, steps)
    network.requires_grad_(False)
    return likelihood.evaluate(held_out(experiment, task, likelihood).full).accuracy


def option_logits(network: Any, likelihood: Likelihood, examples: list[Encoded]) -> torch.Tensor:
    """Option logits (n, options) at the answer position, differentiable; one batch padded to its longest prompt.
    Raises InputError where there are no options."""
    if not isinstance(likelihood, OptionLikelihood):
        raise InputError(
            "first-order methods choose between options, and this task is answered in writing; use another"
        )
    longest = -(-max(len(e.ids) for e in examples) // LENGTH_STEP) * LENGTH_STEP
    ids = torch.full((len(examples), longest), network.config.pad_token_id)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
    hidden = network.model(input_ids=ids, use_cache=False).last_hidden_state
    answer = torch.from_numpy(np.array([len(e.ids) - 1 for e in examples]))
    return hidden[torch.arange(len(examples)), answer] @ network.lm_head.weight[likelihood.option_ids].t()


def option_loss(network: Any, likelihood: Likelihood, examples: list[Encoded]) -> torch.Tensor:
    """Mean option cross-entropy of a batch, differentiable."""
    labels = torch.tensor([e.label for e in examples])
    return torch.nn.functional.cross_entropy(option_logits(network, likelihood, examples), labels)
