"""`pairzero privacy audit`: the table, the JSON form of the benchmarks, and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fl import audit_command
from privacy.audit.faults import NAMES
from privacy.audit.findings import Finding
from radio.errors import RequirementError

FINDINGS = [
    Finding(None, "device unit, q = 1", "own-noise", False, "likelihood ratio", 5.0, 4.75),
    Finding(None, "code: charges", "own-noise", False, "25 rounds on the air, 25 charged"),
    *(Finding(name, "planted", "own-noise", True, "likelihood ratio", 5.0, 7.0) for name in NAMES[:-1]),
    Finding(NAMES[-1], "planted", "own-noise", True, "18 of 24 losses changed"),
]


def command(monkeypatch: pytest.MonkeyPatch, findings: list[Finding], file: Path | None = None) -> None:
    monkeypatch.setattr(audit_command, "_run", lambda *_: findings)
    audit_command.audit(json=file, quick=True, seed=1)


def test_figures_and_every_fault_are_written(monkeypatch, tmp_path: Path, capsys) -> None:
    command(monkeypatch, FINDINGS, tmp_path / "audit.json")
    written = json.loads((tmp_path / "audit.json").read_text())
    rows = {row["name"]: row["value"] for row in written["rows"]}
    assert written["bench"] == "audit" and written["quick"] is True and "cores" in written["machine"]
    assert (rows["epsilon_lower"], rows["claimed_epsilon"]) == (4.75, 5.0)
    assert (rows["faults_flagged"], rows["false_alarms"]) == (10, 0)
    assert set(NAMES) <= set(rows)
    printed = capsys.readouterr().out
    assert "consistent" in printed and "10 of 10 faults flagged, 0 false alarms" in printed
    assert "left out by --quick" in printed


@pytest.mark.parametrize(
    "index, flagged, said", [(3, False, "missed: noise from the public seed"), (0, True, "false alarm: device unit")]
)
def test_a_missed_fault_or_a_false_alarm_is_an_error_after_the_figures_are_written(
    monkeypatch, tmp_path: Path, index: int, flagged: bool, said: str
) -> None:
    findings = [*FINDINGS]
    findings[index] = replace(findings[index], flagged=flagged)
    with pytest.raises(RequirementError, match=said) as caught:
        command(monkeypatch, findings, tmp_path / "audit.json")
    assert caught.value.exit_code == 4
    assert (tmp_path / "audit.json").is_file()
