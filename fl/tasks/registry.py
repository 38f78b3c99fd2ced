"""Tasks by name."""

from __future__ import annotations

from pathlib import Path

from fl.tasks.reviews.generate import generate_reviews
from fl.tasks.sst2 import load_sst2
from fl.tasks.task import Task
from radio.errors import InputError

TASKS = ("reviews", "sst2")


def load_task(
    name: str, *, seed: int, devices: int, train_examples: int | None = None, root: Path | str | None = None
) -> Task:
    """Load or generate a task.

    `seed` is the experiment's public seed; `train_examples` counts those of all `devices` together (None: as many as
    the task allows); `root` is the folder of a task that is read from files (None: from the hub).
    """
    if name not in TASKS:
        raise InputError(f"task.name = {name!r} is not a task; allowed: {', '.join(TASKS)}")
    if devices < 1:
        raise InputError(f"{devices} devices cannot hold a task's data; at least 1 is needed")
    if train_examples is not None and train_examples < devices:
        raise InputError(
            f"task.train_examples = {train_examples} is too few for {devices} devices; every device needs at least one"
        )
    if name == "sst2":
        return load_sst2(None if root is None else Path(root), seed=seed, train_examples=train_examples)
    if root is not None:
        raise InputError(f"task.root = {str(root)!r}: the task 'reviews' is generated and reads no files; leave it out")
    return generate_reviews(seed=seed, devices=devices, train_examples=train_examples)
