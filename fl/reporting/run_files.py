"""Reading a run folder, finished or not.

Whatever is missing (an interrupted run has no summary, a torn last line, no diagnostics yet) is absent, never zero.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.diagnostics import read_diagnostics
from fl.reporting.air_log import AirLog, air_log
from privacy.record_log import Record, read_records
from radio.errors import InputError


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds. `summary` is empty and texts are "" where the file is not there (yet)."""

    path: Path
    summary: dict[str, Any]
    config: dict[str, dict[str, Any]]
    versions: dict[str, Any]
    seeds: dict[str, Any]
    journal: list[Record]
    charges: list[Record]
    statement: str
    notice: str
    air: AirLog

    def records(self, kind: str) -> list[Record]:
        return [record for record in self.journal if record.get("type") == kind]

    def option(self, section: str, key: str, default: Any = None) -> Any:
        return self.config.get(section, {}).get(key, default)


def read_run(run: Path) -> RunFiles:
    """Everything the report needs from a run folder; InputError if there is neither a configuration nor a journal."""
    if not ((run / "experiment.toml").is_file() or (run / "journal.jsonl").is_file()):
        raise InputError(
            f"{run}: not a run folder (it has neither experiment.toml nor journal.jsonl); "
            "give a folder made by `pairzero run`"
        )
    try:
        config = tomllib.loads(_text(run / "experiment.toml"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{run / 'experiment.toml'}: not a readable TOML file: {error}") from None
    journal = _records(run / "journal.jsonl")
    stops = [record.get("type") == "stop" for record in journal]
    gone_on = any(stops) and not stops[-1]  # the summary is of before, and its epsilon too small
    return RunFiles(
        path=run,
        summary={} if gone_on else _json(run / "summary.json"),
        config=config,
        versions=_json(run / "versions.json"),
        seeds=_json(run / "seeds.json"),
        journal=journal,
        statement=_text(run / "statement.txt").strip(),
        charges=_records(run / "charges.jsonl"),
        notice=_notice(run / "diagnostics.jsonl"),
        air=air_log(read_diagnostics(run) if (run / "diagnostics.jsonl").is_file() else []),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _records(path: Path) -> list[Record]:
    return read_records(path) if path.is_file() else []


def _notice(path: Path) -> str:
    """The warning on the first line of the diagnostics, "" without one."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            return str(json.loads(file.readline()).get("notice", ""))
        except ValueError:
            return ""


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; {} where there is no file. A broken file is the user's to know about."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); remove it and run `pairzero report` again") from None
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Evaluations:
    """Held-out evaluations in round order; all (E,). `examples` is the number of test examples behind each."""

    rounds: NDArray[np.int64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    examples: NDArray[np.int64]


def evaluations(run: RunFiles) -> Evaluations:
    """Held-out evaluations from the journal in round order; of two of one round, the final or else the later counts."""
    last = {int(r["round"]): r for r in sorted(run.records("evaluation"), key=lambda r: bool(r.get("final")))}
    rows = [last[t] for t in sorted(last)]
    return Evaluations(
        rounds=np.array([r["round"] for r in rows], dtype=np.int64),
        loss=np.array([number(r.get("loss"), math.nan) for r in rows], dtype=np.float64),
        accuracy=np.array([number(r.get("accuracy"), math.nan) for r in rows], dtype=np.float64),
        examples=np.array([r.get("examples") or 0 for r in rows], dtype=np.int64),
    )


def number(value: Any, default: float) -> float:
    """A recorded figure, or `default` where null was recorded."""
    return default if value is None else float(value)
