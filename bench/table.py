"""What every benchmark prints and writes: a small table, and JSON in the one form of design section 7."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fl.result_file import Row, machine, write_results

__all__ = ["Row", "machine", "publish"]


def publish(bench: str, rows: list[Row], quick: bool, file: Path | None, unprinted: Sequence[Row] = ()) -> None:
    """Print `rows`; write them to `file`, and after them `unprinted`, which are figures for programs."""
    table = Table(title=f"{bench}{' (quick: for its shape, not its figures)' if quick else ''}", title_justify="left")
    for column in ("row", "value", "unit", "note"):
        table.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for row in rows:
        table.add_row(escape(row.name), f"{row.value:.4g}", escape(row.unit), escape(row.note))
    Console().print(table)
    if file is not None:
        write_results(file, bench, [*rows, *unprinted], quick)
