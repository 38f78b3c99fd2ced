"""Which weights should a zeroth-order run move?  Squared mean gradient per weight, by group of parameters.

    python -m bench.gradient_energy [--task sst2 --root DIR]

A zeroth-order step costs variance in proportion to the number of weights it moves and gains in proportion to the squared
gradient they hold.  The loss is the option cross-entropy with the batch's mean log-odds taken off, because the model's bias
between the two words would otherwise hide everything else.  Autograd, public data, unbiased over batches of 64:
||mean||^2 minus the variance of the mean.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from bench.table import Row, publish
from fl.first_order import option_logits
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.tasks.registry import load_task

BATCH = 64


def energies(source: str, task_name: str, root: str | None, batches: int) -> dict[str, tuple[float, int]]:
    """Group -> (unbiased squared norm of the mean gradient, number of weights)."""
    task = load_task(task_name, seed=1, devices=1, train_examples=min(1000, batches * BATCH), root=root)
    model = load_model(source)
    likelihood = OptionLikelihood(model, task.options, 16)
    examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train]
    network = model.network.requires_grad_(True)
    gradients: dict[str, list[np.ndarray]] = defaultdict(list)
    for start in range(0, batches * BATCH, BATCH):
        part = examples[start : start + BATCH]
        network.zero_grad()
        logits = option_logits(network, likelihood, part)
        odds = logits[:, 1] - logits[:, 0]
        signs = torch.tensor([2.0 * e.label - 1.0 for e in part])
        torch.nn.functional.softplus(-signs * (odds - odds.mean())).mean().backward()
        for name, parameter in network.named_parameters():
            gradients[name].append(parameter.grad.detach().flatten().numpy().copy())
    found: dict[str, tuple[float, int]] = {}
    for name, rows in gradients.items():
        stacked = np.stack(rows).astype(np.float64)
        mean = stacked.mean(axis=0)
        energy = float(mean @ mean - ((stacked - mean) ** 2).sum() / (batches * (batches - 1)))
        found[re.sub(r"^model\.decoder\.", "", name)] = (energy, mean.size)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--task", default="reviews")
    parser.add_argument("--root")
    parser.add_argument("--top", type=int, default=8)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = energies(arguments.model, arguments.task, arguments.root, 2 if arguments.quick else 15)
    best = sorted(found.items(), key=lambda item: -item[1][0] / item[1][1])[: arguments.top]
    rows = [
        Row(name, energy / size, "1/weight", f"{energy:.3g} over {size:,} weights") for name, (energy, size) in best
    ]
    for label, pattern in (("all LayerNorms", "layer_norm"), ("all matrices", r"(proj|fc\d)\.weight$")):
        chosen = [value for name, value in found.items() if re.search(pattern, name)]
        energy, size = sum(e for e, _ in chosen), sum(n for _, n in chosen)
        rows.append(Row(label, energy / size, "1/weight", f"{energy:.3g} over {size:,} weights"))
    publish("gradient_energy", rows, arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
