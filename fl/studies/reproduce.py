"""Carry a study out: cell after cell, the record and the pages kept up to date, so that an interruption loses one cell's time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from fl.studies.cell import Cell
from fl.studies.jobs import one_by_one, together
from fl.studies.outcome import Measured, Value
from fl.studies.record import Record
from fl.studies.study import Results, Scale, Study
from fl.studies.tiny import tiny_opt
from fl.studies.write import write
from radio.errors import InputError

CELLS = "cells"  # run folders of cells, by digest; nothing in them is needed again once the cell is in the record


def folder_of(study: Study, scale: Scale, out: Path) -> Path:
    return out / (f"{study.name}-quick" if scale.quick else study.name)


def source_of(study: Study) -> Study:
    """The study in whose folder the cells are."""
    return replace(study, name=study.cells_of or study.name)


def prepared(scale: Scale, out: Path) -> Scale:
    """The scale with its model: in its quick form a tiny one, which is made once."""
    if not scale.quick or scale.model != "embedded":
        return scale
    return replace(scale, model=str(tiny_opt(out / "tiny-opt")))


def shared(scale: Scale, jobs: int) -> Scale:
    """The scale with each of `jobs` cells on its share of the cores, unless threads are asked for."""
    threads = {"run.threads": max(1, (os.cpu_count() or 1) // jobs)} if jobs > 1 else {}
    return replace(scale, overrides={**threads, **(scale.overrides or {})})


def reproduce(study: Study, scale: Scale, out: Path, say: Callable[[str], None], jobs: int = 1) -> Path:
    """Measure what is not in the record yet, `jobs` cells at a time, and write tables and figures of what is.  Returns the
    study's folder.

    Raises KeyboardInterrupt after interrupted cells, with everything before them written; InputError where a cell cannot start,
    or, before anything is written, without the data.
    """
    if any(path.exists() and not path.is_dir() for path in (out, *out.parents)):
        raise InputError(f"--out {out}: there is a file of that name; name a folder")
    scale = shared(prepared(scale, out), jobs)
    folder = folder_of(study, scale, out)
    source = folder_of(source_of(study), scale, out)
    cells = study.design(scale)
    record = Record(source)
    numbers = {cell.digest: number for number, cell in reversed(list(enumerate(cells, start=1)))}
    left = list({cell.digest: cell for cell in cells if cell not in record}.values())  # two names may be one cell
    if left:
        left[0].work.check()
    for place in {folder, source}:
        place.mkdir(parents=True, exist_ok=True)

    marks: dict[str, Value] = (
        {"set": scale.changed} if scale.changed else {}
    )  # or rows of one name could not be told apart

    def begin(cell: Cell) -> None:
        say(f"{study.name} {numbers[cell.digest]}/{len(cells)}: {cell.name}")

    def place_of(cell: Cell) -> Path:
        return source / CELLS / cell.digest

    try:
        for measured in (one_by_one if jobs == 1 else partial(together, jobs))(left, place_of, begin):
            record.keep(Measured({**measured.row, **marks}, measured.curve))
            record.write(cells)
    finally:
        record.write(cells)
        found = {cell.digest: known for cell in cells if (known := record.of(cell)) is not None}
        write(folder, study, scale, Results(cells, found))
    return folder
