"""What a session keeps of a step that is done: a JSON file, from which it is resumed and its report is drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.plain import plain
from radio.errors import InputError
from radio.figure import Plot, plotted
from radio.recording import write_bytes

FOLDER = "steps"


@dataclass(frozen=True)
class StepRecord:
    """One step.

    name, about        of the step
    radio_s            radio time it took
    findings           for the report
    facts              for later steps and the profile
    plots              its pictures, drawn
    capture            file of the first samples it heard, relative to the session's folder; "": none
    receive_gain_db    that it left, and of each device the transmit gain
    failure            "" or why it ended without an outcome
    number             how many steps were done before
    """

    name: str
    about: str
    radio_s: float
    findings: tuple[Finding, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    plots: tuple[Plot, ...] = ()
    capture: str = ""
    receive_gain_db: float = 0.0
    transmit_gain_db: tuple[float, ...] = ()
    failure: str = ""
    number: int = 0

    @property
    def verdict(self) -> str:
        """The worst of its findings."""
        verdicts = {finding.verdict for finding in self.findings}
        return next((word for word in ("fail", "warn", "unknown") if word in verdicts), "pass")

    def write(self, session: Path) -> None:
        text = json.dumps(plain(asdict(self)), indent=1)  # NaN and infinity as Python writes and reads them
        try:
            (session / FOLDER).mkdir(parents=True, exist_ok=True)
            write_bytes(session / FOLDER / f"{self.name}.json", text.encode() + b"\n")
        except OSError as problem:
            raise InputError(
                f"cannot write {session / FOLDER}: {problem.strerror}; free some space, then continue with: "
                f"pairzero calibrate --resume {session}"
            ) from None


def drawn(outcome: Outcome, step: str) -> tuple[Plot, ...]:
    return tuple(plotted(picture, f"{step}-") for picture in outcome.pictures)


def read_records(session: Path) -> dict[str, StepRecord]:
    """By name, in the order in which a session has done them. Raises InputError for a file that cannot be read."""
    found = {}
    for file in sorted((session / FOLDER).glob("*.json")):
        try:
            found[file.stem] = _record(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise InputError(
                f"{file}: not a step's record ({problem}); delete it and the step is done again with --resume {session}"
            ) from None
    return dict(sorted(found.items(), key=lambda item: item[1].number))


def _record(raw: dict[str, Any]) -> StepRecord:
    raw["findings"] = tuple(_finding(one) for one in raw["findings"])
    raw["plots"] = tuple(Plot(**one) for one in raw["plots"])
    raw["transmit_gain_db"] = tuple(raw["transmit_gain_db"])
    return StepRecord(**raw)


def _finding(raw: dict[str, Any]) -> Finding:
    estimate, limit = raw.pop("estimate", None), raw.pop("limit", None)
    return Finding(
        **raw,
        estimate=None if estimate is None else Estimate(**estimate),
        limit=None if limit is None else Limit(**limit),
    )
