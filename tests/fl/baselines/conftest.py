"""The embedded model on a few film reviews: what every algorithm's tests train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fl.baselines.harness import prepare
from fl.baselines.setting import Setting
from fl.config import Experiment, validate


def experiment(changes: Mapping[str, Any] | None = None) -> Experiment:
    """Two devices with 12 reviews each, the 256 gains of the first attention norm; no noise, no radio unless asked for."""
    raw: dict[str, dict[str, Any]] = {
        "model": {},
        "task": {"examples_per_device": 12, "test_examples": 16},
        "learning": {
            "devices": 2,
            "rounds": 10,
            "batch": 4,
            "micro_batch": 4,
            "parameters": ["*layers.0.self_attn_layer_norm.weight"],
            "rate": 6e-2,
            "mu": 1e-2,
        },
        "radio": {"mode": "ideal", "window": 256, "pilot_window": 128, "snr_db": 30},
        "privacy": {"enabled": False, "clip": 20, "delta": 1e-2, "reproducible": True},
        "run": {"seed": 3, "threads": 1},
    }
    for key, value in (changes or {}).items():
        section, _, name = key.partition(".")
        raw[section][name] = value
    return validate(raw, "test")


@pytest.fixture
def make_setting() -> Any:
    """`make_setting("mezo", rounds=4, changes={"learning.rate": 0.1})`; closed at the test's end."""
    opened: list[Setting] = []

    def make(name: str, rounds: int = 10, changes: Mapping[str, Any] | None = None) -> Setting:
        setting = Setting.build(prepare(name, experiment(), rounds, changes))
        opened.append(setting)
        return setting

    yield make
    for setting in opened:
        setting.resources.close()


@pytest.fixture(scope="session")
def base_experiment() -> Experiment:
    return experiment()
