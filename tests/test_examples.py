"""Every shipped experiment is valid, and the demo's promises fit the budget it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from fl.config import load

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_every_example_is_valid_and_private(path: Path) -> None:
    experiment = load(path)
    assert experiment.privacy.enabled and not experiment.privacy.reproducible
    assert experiment.privacy.epsilon <= 8 and experiment.privacy.delta <= 1e-5
    assert experiment.run.name == path.stem


def test_the_demo_stays_within_the_task_it_promises() -> None:
    demo = load(next(p for p in EXAMPLES if p.name == "demo.toml"))
    assert demo.task.name == "reviews" and demo.task.examples_per_device <= 1000 and demo.model.source == "embedded"
