"""An OPT of nothing, for the shape of things: width 32, two layers, fresh weights, a tokenizer of 600 tokens."""

from __future__ import annotations

from pathlib import Path


def tiny_opt(folder: Path) -> Path:
    """The folder, filled unless it is there already: the same weights and tokens every time."""
    from transformers.utils import logging

    from fl.corpus import train_tokenizer
    from fl.pretrain import Recipe, build
    from fl.tasks.registry import load_task

    if (folder / "tokenizer.json").is_file():
        return folder
    logging.disable_progress_bar()
    task = load_task("reviews", seed=1, devices=1, train_examples=200)
    tokenizer = train_tokenizer((e.text + option for e in task.train for option in task.options), 600)
    build(Recipe(width=32, layers=2, heads=2, positions=128, vocabulary=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
