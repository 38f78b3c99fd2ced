"""An OPT of width 32 that nobody has trained, for what does not depend on what a model knows: crashes, links, long runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fl.config import Experiment, validate

# One central direction a round, on what the default trained when these benchmarks were first measured.
PLAIN: dict[str, Any] = {"perturbations": 1, "estimator": "central", "optimiser": "sgd", "rate": 1e-2}


def toy_model(folder: Path) -> Path:
    """A Hugging Face folder: two layers and a byte-level BPE of 600 tokens, fresh weights."""
    from fl.corpus import train_tokenizer
    from fl.pretrain import Recipe, build
    from fl.tasks.registry import load_task

    task = load_task("reviews", seed=5, devices=1, train_examples=300)
    tokenizer = train_tokenizer((e.text + option for e in task.train for option in task.options), 600)
    build(Recipe(width=32, layers=2, heads=2, positions=128, vocabulary=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def toy_experiment(model: Path, rounds: int, devices: int = 2, parameters: str = "*") -> Experiment:
    """A few milliseconds a round, and noise sized for as many interrupted rounds as there are others."""
    return validate(
        {
            "model": {"source": str(model)},
            "task": {"examples_per_device": 30, "test_examples": 8},
            "learning": {
                "devices": devices,
                "rounds": rounds,
                "parameters": [parameters],
                "batch": 4,
                "micro_batch": 8,
                **PLAIN,
            },
            "radio": {"mode": "ideal"},  # nobody sits a round out by channel
            "privacy": {"epsilon": 8.0, "spare_rounds": 1.0},
            "run": {
                "name": "toy",
                "seed": 3,
                "evaluate_every": max(10, rounds // 10),
                "evaluate_examples": 8,
                "threads": 1,
            },
        },
        "the toy experiment",
    )


def experiment(model: Path, devices: int, rounds: int, each: int = 4, reproducible: bool = False) -> Experiment:
    """K devices with `each` examples, of which one a round is drawn on average, at symbol fidelity."""
    return validate(
        {
            "model": {"source": str(model)},
            "task": {"examples_per_device": each, "test_examples": 10},
            "learning": {"devices": devices, "rounds": rounds, "batch": 1, "micro_batch": 16, **PLAIN},
            "radio": {"fidelity": "symbol", "snr_db": 40.0},
            "privacy": {"reproducible": reproducible},
            "run": {"name": "toy", "seed": 11, "evaluate_every": 1_000_000, "evaluate_examples": 10, "threads": 1},
        },
        "bench.toy",
    )
