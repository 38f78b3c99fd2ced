"""An OPT of width 32 that nobody has trained, for what does not depend on what a model knows: crashes, links, long runs."""

from __future__ import annotations

from pathlib import Path


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
