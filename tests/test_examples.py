"""Every shipped experiment is valid, and what its file promises fits the budget it names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fl.config import Experiment, load
from fl.guarantee import guarantee_of
from privacy.accounting import epsilon

ROOT = Path(__file__).parent.parent
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.toml"))}
PAPER = "opt125m_sst2_paper"
# of the official training splits
TRAINING = {"sst2": 67_349, "rte": 2_490, "boolq": 9_427, "wic": 5_428, "cb": 250, "squad": 87_599}


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {PAPER}))
def test_every_example_is_valid_and_private(name: str) -> None:
    experiment = load(EXAMPLES[name])
    assert experiment.privacy.enabled and not experiment.privacy.reproducible
    assert experiment.privacy.epsilon <= 8 and experiment.privacy.delta <= 1e-5
    assert (experiment.privacy.unit, experiment.privacy.threat) == ("example", "own-noise")
    assert experiment.run.name == name


def test_every_task_has_an_example_with_enough_data() -> None:
    for name, rows in TRAINING.items():
        experiment = load(EXAMPLES[name])
        assert experiment.task.name == name
        assert experiment.learning.devices * experiment.task.examples_per_device <= rows


def test_the_demo_stays_within_the_task_it_promises() -> None:
    demo = load(EXAMPLES["demo"])
    assert demo.task.name == "reviews" and demo.task.examples_per_device <= 1000 and demo.model.source == "embedded"


def test_the_paper_s_example_has_the_paper_s_numbers() -> None:
    """arXiv 2604.12401, section on experiments."""
    experiment: Experiment = load(EXAMPLES[PAPER])
    learning, privacy = experiment.learning, experiment.privacy
    assert (learning.devices, learning.rounds, learning.mu, learning.perturbations) == (5, 8000, 1e-3, 1)
    assert (privacy.epsilon, privacy.delta, privacy.clip, privacy.contraction) == (5.0, 0.01, 100.0, 0.998)
    assert experiment.model.source == "facebook/opt-125m" and learning.parameters == ("*",)
    guarantee = guarantee_of(experiment)
    assert guarantee is not None
    assert epsilon(guarantee.planned(), guarantee.delta) == pytest.approx(5.0, rel=1e-3)
    # privacy.md 2.1 by formula: std of the mean = (2 gamma / K) sqrt(T / (2 rho)) for constant noise, 20.4 gamma at rho = 1.542;
    # the weighted rounds spread around it
    levels = [charge.noise_multiplier for charge in guarantee.schedule]
    constant = math.sqrt(experiment.releases / (2 * 1.542))
    assert min(levels) < constant < max(levels)
