"""Tasks by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from fl.tasks import squad
from fl.tasks.reviews.generate import OPTIONS, TEMPLATE, generate_reviews, validation_reviews
from fl.tasks.task import Example, Task, digest_examples
from fl.tasks.task_file import BUILT_IN, load_task_file
from radio.errors import InputError
from radio.streams import stream

TASKS = ("reviews", "squad", *BUILT_IN)

HeldOut = Literal["test", "validation", "both"]


def is_task(name: str) -> bool:
    """Whether it may name a task: a built-in one, or a task file's path."""
    return name in TASKS or name.endswith(".toml")


def load_task(
    name: str,
    *,
    seed: int,
    devices: int,
    train_examples: int | None = None,
    root: Path | str | None = None,
    validation: int = 0,
    held_out: HeldOut = "test",
) -> Task:
    """Load or generate a task.

    name            of `TASKS`, or the path of a task file (`fl.tasks.task_file`)
    seed            the experiment's public seed
    train_examples  those of all `devices` together (None: as many as the task allows)
    root            folder of a task that is read from files; None: the hub, or of a file without one, the file's own folder
    validation      training examples set apart, the same ones for every seed: nobody trains on them, and settings may be chosen
                    by looking at them.  They count as public, as the test split does
    held_out        what takes the test split's place: the test split, the validation examples, or both
    """
    if not is_task(name):
        raise InputError(
            f"task.name = {name!r} is not a task; allowed: {', '.join(TASKS)}, or a task file's path (.toml)"
        )
    if devices < 1:
        raise InputError(f"{devices} devices cannot hold a task's data; at least 1 is needed")
    if train_examples is not None and train_examples < devices:
        raise InputError(
            f"task.train_examples = {train_examples} is too few for {devices} devices; every device needs at least one"
        )
    if name == "reviews":
        if root is not None:
            raise InputError(
                f"task.root = {str(root)!r}: the task 'reviews' is generated and reads no files; leave it out"
            )
        task = generate_reviews(seed=seed, devices=devices, train_examples=train_examples)
        apart = validation_reviews(seed, task, validation)
    else:
        task, place = _from_files(name, None if root is None else Path(root))
        task, apart = _chosen(task, place, seed, train_examples, validation)
    test = {"test": task.test, "validation": apart, "both": (*task.test, *apart)}[held_out]
    return replace(task, test=test)


def load_own(name: str, path: Path, public: bool) -> Task:
    """A task whose training examples are all those of one file, in its own format (SST-2's for `reviews`); no test split."""
    if name == "squad":
        own = squad.read_squad(path)
        return Task(name, public, squad.TEMPLATE, (), tuple(own), (), digest_examples(own), squad.COLUMNS)
    spec = load_task_file("sst2" if name == "reviews" else name)
    own = spec.read(path, "name a file of examples")
    template, columns = spec.template, spec.columns
    options = spec.options
    if name == "reviews":
        template, options, columns = TEMPLATE, OPTIONS, ("text",)
    return Task(name, public, template, options, tuple(own), (), digest_examples(own), columns)


def _from_files(name: str, root: Path | None) -> tuple[Task, str]:
    """The whole task, and what it was read from in words."""
    if name == "squad":
        if root is None:
            train, test = squad.from_hub()
        else:
            train, test = (squad.read_squad(root / file) for file in squad.FILES)
        task = _task(name, root is None, squad.TEMPLATE, (), train, test, squad.COLUMNS)
        return task, f"the hub's {squad.HUB[0]}" if root is None else str(root / squad.FILES[0])
    spec = load_task_file(name)
    if root is None and spec.hub is None:
        root = Path(name).parent
    if root is None:
        assert spec.hub is not None
        train, test = spec.from_hub(name)
        place = f"the hub's {spec.hub[0]}"
    else:
        advice = f"{name} needs {spec.train} and {spec.test} in one folder: try --set task.root=DIR"
        train, test = spec.read(root / spec.train, advice), spec.read(root / spec.test, advice)
        place = str(root / spec.train)
    # A local folder may hold anybody's sentences, so only the hub's copy counts as public.
    return _task(Path(name).stem, root is None, spec.template, spec.options, train, test, spec.columns), place


def _task(
    name: str,
    public: bool,
    template: str,
    options: tuple[str, ...],
    train: list[Example],
    test: list[Example],
    columns: tuple[str, ...],
) -> Task:
    return Task(name, public, template, options, tuple(train), tuple(test), digest_examples(train), columns)


def _chosen(
    task: Task, place: str, seed: int, train_examples: int | None, validation: int
) -> tuple[Task, tuple[Example, ...]]:
    """The training examples drawn by the seed, a smaller choice being a subset of a larger one; and those set apart."""
    most = len(task.train) - validation
    if most < 1:
        raise InputError(
            f"task.validation_examples = {validation}, but {place} has {len(task.train)}; leave some to train on"
        )
    if train_examples is not None and not 1 <= train_examples <= most:
        apart = f" ({validation} are set apart)" if validation else ""
        raise InputError(
            f"task.train_examples = {train_examples}, but {place} has {len(task.train)}{apart}; take 1 to {most}"
        )
    order = stream(0, "tasks", "validation").permutation(len(task.train)) if validation else range(len(task.train))
    apart_of = set(int(i) for i in order[:validation])
    left = [e for i, e in enumerate(task.train) if i not in apart_of]
    if train_examples is not None:
        # named after the first task there was: a seed's choice stays what it always was
        chosen = stream(seed, "tasks", "sst2", "train").permutation(len(left))[:train_examples]
        left = [left[i] for i in chosen]
    return replace(task, train=tuple(left)), tuple(task.train[i] for i in sorted(apart_of))
