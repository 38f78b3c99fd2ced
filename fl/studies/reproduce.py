"""Carry a study out: cell after cell, the record and the pages kept up to date, so that an interruption loses one cell's time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fl.studies.record import Record
from fl.studies.study import Results, Scale, Study
from fl.studies.tiny import tiny_opt
from fl.studies.write import write

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


def reproduce(study: Study, scale: Scale, out: Path, say: Callable[[str], None]) -> Path:
    """Measure what is not in the record yet, and write tables and figures of what is.  Returns the study's folder.

    Raises KeyboardInterrupt after an interrupted cell, with everything before it written; InputError where a cell cannot start.
    """
    scale = prepared(scale, out)
    folder = folder_of(study, scale, out)
    source = folder_of(source_of(study), scale, out)
    for place in {folder, source}:
        place.mkdir(parents=True, exist_ok=True)
    cells = study.design(scale)
    record = Record(source)
    try:
        for number, cell in enumerate(cells, start=1):
            if cell not in record:
                say(f"{study.name} {number}/{len(cells)}: {cell.name}")
                record.measure(cell, source / CELLS / cell.digest)
                record.write(cells)
    finally:
        record.write(cells)
        found = {cell.digest: measured for cell in cells if (measured := record.of(cell)) is not None}
        write(folder, study, scale, Results(cells, found))
    return folder
