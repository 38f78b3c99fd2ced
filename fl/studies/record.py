"""The record of a study: `cells.csv`, a row a measured cell, and `curves.csv`, a row an evaluation.  It is the cache, too: a
cell whose digest is there is not measured again, wherever the files came from.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from fl.result_file import machine
from fl.run_folder import version, write_atomic
from fl.studies.cell import Cell
from fl.studies.outcome import Measured, Point, Value
from radio.errors import InputError

CELLS, CURVES = "cells.csv", "curves.csv"
FIRST = ("digest", "status", "seed")
LAST = ("wall_s", "cpu", "cores", "python", "torch", "pairzero")


class Record:
    """Of one study's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        curves: dict[str, list[Point]] = {}
        for row in _rows(folder / CURVES):
            digest = str(row.pop("digest"))
            curves.setdefault(digest, []).append(Point(**row))  # type: ignore[arg-type]
        self._cells: dict[str, Measured] = {}
        for row in _rows(folder / CELLS):
            digest = str(row["digest"])
            if row["status"] != "not run":
                self._cells[digest] = Measured(row, tuple(curves.get(digest, ())))

    def __contains__(self, cell: Cell) -> bool:
        return cell.digest in self._cells

    def of(self, cell: Cell) -> Measured | None:
        return self._cells.get(cell.digest)

    def keep(self, measured: Measured) -> None:
        self._cells[str(measured.row["digest"])] = measured

    def write(self, cells: Sequence[Cell]) -> None:
        """Both files: the measured cells, under the names that `cells` have for them today, and those that are not."""
        for cell in cells:
            if (known := self.of(cell)) is not None:
                self.keep(Measured({**known.row, **cell.factors}, known.curve))
        missing = [
            {"digest": c.digest, "status": "not run", "seed": c.seed, **c.factors} for c in cells if c not in self
        ]
        rows = [*(measured.row for measured in self._cells.values()), *missing]
        names = list(dict.fromkeys(name for row in rows for name in row if name not in (*FIRST, *LAST)))
        write_atomic(self._folder / CELLS, _csv((*FIRST, *names, *LAST), rows))
        points = [{"digest": d, **asdict(p)} for d, measured in self._cells.items() for p in measured.curve]
        write_atomic(self._folder / CURVES, _csv(("digest", *(f.name for f in fields(Point))), points))


def measure(cell: Cell, folder: Path) -> Measured:
    """Carry a cell out: its row and its curve."""
    began = time.monotonic()
    outcome = cell.work.carry_out(folder)
    host = machine()
    assert not cell.factors.keys() & outcome.figures.keys(), "a figure would take a factor's column"
    row: dict[str, Value] = {
        "digest": cell.digest,
        "status": f"stopped: {outcome.stopped}" if outcome.stopped else "done",
        "seed": cell.seed,
        **cell.factors,
        **outcome.figures,
        "wall_s": round(time.monotonic() - began, 2),
        **{key: str(host[key]) for key in ("cpu", "cores", "python")},
        "torch": metadata.version("torch"),
        "pairzero": version(),
    }
    return Measured(row, outcome.curve)


def _csv(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(path: Path) -> list[dict[str, Value]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        # a digest may look like a number
        rows = [{k: text if k == "digest" else _value(text) for k, text in row.items()} for row in csv.DictReader(file)]
    needed = {"digest"} | ({"status", "seed"} if path.name == CELLS else set())
    if any(not needed <= row.keys() for row in rows):
        raise InputError(f"{path} has no columns {', '.join(sorted(needed))}; move it away, or name another --out")
    return rows


def _value(text: str) -> Value:
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
