"""A model so small that what is left of a round's time is what carries it."""

from __future__ import annotations

from pathlib import Path

from fl.config import Experiment, validate


def toy_model(folder: Path) -> Path:
    """An OPT of width 32 with two layers and a byte-level BPE of 600 tokens, fresh weights, written into a folder."""
    from fl.corpus import train_tokenizer
    from fl.pretrain import Recipe, build
    from fl.tasks.registry import load_task

    task = load_task("reviews", seed=5, devices=1, train_examples=300)
    tokenizer = train_tokenizer((e.text + option for e in task.train for option in task.options), 600)
    made = folder / "toy-opt"
    build(Recipe(width=32, layers=2, heads=2, positions=128, vocabulary=len(tokenizer))).save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def experiment(model: Path, devices: int, rounds: int, each: int = 4, reproducible: bool = False) -> Experiment:
    """K devices with `each` examples, of which one a round is drawn on average, at symbol fidelity."""
    return validate(
        {
            "model": {"source": str(model)},
            "task": {"examples_per_device": each, "test_examples": 10},
            "learning": {"devices": devices, "rounds": rounds, "batch": 1, "micro_batch": 16},
            "radio": {"fidelity": "symbol", "snr_db": 40.0},
            "privacy": {"reproducible": reproducible},
            "run": {"name": "toy", "seed": 11, "evaluate_every": 1_000_000, "evaluate_examples": 10, "threads": 1},
        },
        "bench.toy",
    )
