"""A sweep: one experiment over a grid of settings and several seeds.  Every cell is a normal run folder, so what is finished
is skipped and what was interrupted goes on where it stopped.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fl import run_folder
from fl.config import Experiment, load
from fl.run import execute, finished_summary
from fl.stop import Stop, Terminated
from radio.errors import InputError, PairzeroError

Summary = dict[str, Any]
SEED = "run.seed"


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    settings  what the grid sets in it, key by key
    path      its run folder
    """

    settings: dict[str, str]
    path: Path
    experiment: Experiment


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """Values of every key of `section.key=v1,v2,...`; a comma in brackets or quotes separates nothing.  Raises InputError."""
    grid: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        found = [value.strip() for value in _split(values)]
        if not equals or not key.strip() or not all(found):
            raise InputError(f"--grid {text!r}: expected section.key=value,value, for example learning.mu=0.01,0.02")
        if key.strip() in grid:
            raise InputError(f"--grid {key.strip()} is given twice; name all its values in one: {key.strip()}=v1,v2,v3")
        grid[key.strip()] = list(dict.fromkeys(found))
    return grid


def _split(text: str) -> Iterator[str]:
    depth, quoted, begin = 0, "", 0
    for at, letter in enumerate(text):
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "\"'":
            quoted = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def cells(
    file: Path, overrides: Sequence[str], grid: dict[str, list[str]], seeds: int, out: Path, tell: Callable[[str], None]
) -> list[Cell]:
    """All runs, settings in the grid's order and seeds innermost: `run.seed` of the experiment and those after it.

    Raises InputError where a combination of settings is not allowed, before anything has run.
    """
    if SEED in grid and seeds > 1:
        raise InputError(f"--grid {SEED} and --seeds {seeds} both choose seeds; leave one out")
    found: list[Cell] = []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        chosen = [*overrides, *(f"{key}={value}" for key, value in settings.items())]
        first = load(file, chosen, tell).run.seed
        name = (
            re.sub(r"[^A-Za-z0-9._=,-]", "_", ",".join(f"{key}={value}" for key, value in settings.items())) or "base"
        )
        for seed in range(first, first + seeds):
            path = out / name / f"seed-{seed}"
            found.append(Cell(settings, path, load(file, [*chosen, f"{SEED}={seed}"])))
    paths = [cell.path for cell in found]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise InputError(f"two combinations of the grid would have the folder {twice}; sweep one of them on its own")
    return found


def run_cell(cell: Cell, folder: str | None = None) -> Summary:
    """The summary of the cell's run, which is begun, continued or found finished.

    folder  working directory that relative paths of the experiment count from, where this process has another

    Raises what `fl.run.execute` raises.
    """
    if folder is not None:
        os.chdir(folder)
    if not run_folder.is_run(cell.path):
        return _execute(run_folder.create(cell.path, cell.experiment))
    run = run_folder.open_run(cell.path)
    if run.experiment.digest() != cell.experiment.digest():
        raise InputError(f"{cell.path} holds a run of another experiment; choose another --out for this sweep")
    return finished_summary(run) or _execute(run)


def _execute(run: run_folder.RunFolder) -> Summary:
    stop = Stop()
    summary = execute(run, quiet=True, stop=stop)
    stop.obey()  # a Ctrl-C in its last round is meant for the next run
    return summary


def one_after_another(planned: Sequence[Cell]) -> Iterator[tuple[Cell, Summary | PairzeroError]]:
    """Every cell with its summary, or with why it has none."""
    for cell in planned:
        try:
            yield cell, run_cell(cell)
        except Terminated:
            raise
        except PairzeroError as problem:
            yield cell, problem


def over_ray(
    planned: Sequence[Cell], tasks: int, address: str | None
) -> Iterator[tuple[Cell, Summary | PairzeroError]]:
    """The same as Ray tasks, `tasks` at a time, in the order they end.  Run folders must be where all of them can write.

    Raises InputError where runs would share the ledger of private data, which one process at a time may charge.
    """
    from fl.ray_session import RaySession

    for cell in planned:
        if len(planned) > 1 and _shares_ledger(cell.experiment):
            raise InputError(
                "the runs of this sweep are about the same private data and charge one ledger, one after the other: leave out "
                "--ray (and mind that they share one budget)"
            )
    session = RaySession(address)
    try:
        task = session.ray.remote(num_cpus=1, max_retries=0)(run_cell)
        waiting, running = list(planned), dict[Any, Cell]()
        while waiting or running:
            while waiting and len(running) < tasks:
                cell = waiting.pop(0)
                running[task.remote(cell, os.getcwd())] = cell
            (done,), _ = session.ray.wait(list(running), num_returns=1)
            cell = running.pop(done)
            try:
                yield cell, session.ray.get(done)
            except session.ray.exceptions.RayTaskError as failed:
                if not isinstance(failed.cause, PairzeroError):
                    raise
                yield cell, failed.cause
            except session.ray.exceptions.RayError as lost:
                yield cell, PairzeroError(f"its Ray task is lost ({str(lost).splitlines()[0]})")
    finally:
        session.close()


def _shares_ledger(experiment: Experiment) -> bool:
    from fl import session

    if not experiment.privacy.enabled:
        return False
    return not session.is_throw_away(experiment, session.experiment_task(experiment))
