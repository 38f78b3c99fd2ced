"""What every benchmark prints and writes: a small table, and JSON in the one form of design section 7."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Row:
    name: str
    value: float
    unit: str
    note: str = ""


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = models[0] if models else cpu
    return {"cpu": cpu, "cores": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}


def publish(bench: str, rows: list[Row], quick: bool, file: Path | None) -> None:
    table = Table(title=f"{bench}{' (quick: for its shape, not its figures)' if quick else ''}", title_justify="left")
    for column in ("row", "value", "unit", "note"):
        table.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for row in rows:
        table.add_row(escape(row.name), f"{row.value:.4g}", escape(row.unit), escape(row.note))
    Console().print(table)
    if file is not None:
        result = {"bench": bench, "machine": machine(), "quick": quick, "rows": [asdict(row) for row in rows]}
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
