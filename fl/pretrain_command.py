"""`pairzero pretrain`: the recipe from the command line, with a progress bar."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fl.terminal import console
from radio.errors import InputError


def parse_mixture(text: str) -> tuple[tuple[str, float], ...]:
    """`a=0.8,b=0.2` as pairs.  Raises InputError on anything else."""
    pairs = []
    for part in text.split(","):
        name, equals, share = part.partition("=")
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not (name.strip() and equals and value > 0):
            raise InputError(
                f"--mixture {text!r}: expected NAME=SHARE,NAME=SHARE with positive shares; {part!r} is not"
            )
        pairs.append((name.strip(), value))
    return tuple(pairs)


def run_pretraining(corpora: Path, out: Path, mixture: str, **settings: Any) -> None:
    shares = parse_mixture(mixture)
    if settings["width"] % settings["heads"]:
        raise InputError(f"--width {settings['width']} is not a multiple of --heads {settings['heads']}")
    from fl.pretrain import Recipe, pretrain

    recipe = Recipe(mixture=shares, positions=max(512, settings["sequence"]), **settings)
    with Progress(
        TextColumn("{task.fields[stage]}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(), console=console,
    ) as bar:  # fmt: skip
        line = bar.add_task("", total=recipe.steps, stage="starting", status="")
        plain = not os.isatty(1)

        def report(fact: dict[str, Any]) -> None:
            if fact["stage"] != "training":
                bar.update(line, stage=fact["stage"])
                return
            status = f"loss {fact['loss']:.3f}  {fact['tokens_per_s']:,.0f} tokens/s"
            bar.update(line, completed=fact["step"], stage="training", status=status)
            if plain and fact["step"] % 100 == 0:
                console.print(f"step {fact['step']} of {fact['steps']}  {status}")

        card = pretrain(recipe, corpora, out, report)
    for name, value in card["validation_perplexity"].items():
        console.print(f"perplexity on {name}: {value:.1f}")
    console.print(f"model: {out} ({card['parameters']:,} parameters, {card['tokens_seen']:,} tokens)")
