"""What a round of each algorithm takes in examples, so that comparisons can be made at equal work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fl.config import Experiment
from fl.estimators.registry import estimator

BLOCKS = 4  # of the embedded model: where the split estimator cuts decides what its passes count
BACKWARD = 2.0  # forward passes that a backward pass takes


def examples_a_round(name: str, experiment: Experiment, options: Mapping[str, Any]) -> tuple[float, float]:
    """(forward, backward) examples of one round of `fl.baselines.harness` name on a prepared experiment, all devices."""
    learning = experiment.learning
    batches = learning.devices * learning.batch
    cut = learning.split_layer or BLOCKS // 2
    passes = estimator(learning.probe, cut, BLOCKS).passes(learning.perturbations)
    if name.startswith("fedsgd"):
        return batches, batches
    if name.startswith("fedavg"):
        steps = options.get("local_steps", 4)
        return steps * batches, steps * batches
    if name.startswith("fedzo"):
        return options.get("local_steps", 4) * (learning.perturbations + 1) * batches, 0.0
    if name == "fedkseed":
        return options.get("local_steps", 16) * options.get("batch", 1) * passes * learning.devices, 0.0
    if name == "decomfl":
        return options.get("local_steps", 1) * passes * batches, 0.0
    return learning.local_steps * passes * batches, 0.0


def work_a_round(name: str, experiment: Experiment, options: Mapping[str, Any]) -> float:
    """In forward passes of one example, a backward pass counted as two."""
    forwards, backwards = examples_a_round(name, experiment, options)
    return forwards + BACKWARD * backwards
