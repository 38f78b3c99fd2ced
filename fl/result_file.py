"""The one JSON form of measured results (design section 7), for benchmarks and for `pairzero privacy audit`."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


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


def write_results(file: Path, bench: str, rows: Sequence[Row], quick: bool) -> None:
    result = {"bench": bench, "machine": machine(), "quick": quick, "rows": [asdict(row) for row in rows]}
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
