"""What `pairzero calibrate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from calibration.report import row_of
from radio.wording import minus

if TYPE_CHECKING:
    from calibration.difference import Difference
    from calibration.finding import Finding
    from calibration.profile import Profile

COLOUR = {"pass": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}


def findings_lines(profile: Profile, findings: Sequence[Finding] | None = None) -> list[str]:
    """All findings of a profile, or those given, in console markup: a line each, and one of what to do. A table would be too
    wide for a terminal."""
    lines = []
    for finding in profile.findings if findings is None else findings:
        row = row_of(finding)
        found = "" if finding.estimate is None else f" {row.value}"
        allowed = f" ({row.limit})" if row.limit else ""
        text = f"{row.step}, {row.subject}: {row.quantity}{found}{allowed}"
        lines.append(f"[{COLOUR[row.verdict]}]{row.verdict:8}[/]{escape(text)}")
        if row.advice:
            lines.append(f"        [dim]{escape(row.advice)}[/]")
    return lines


def reasons(profile: Profile, folder: Path) -> list[str]:
    """The recommendation in lines; `folder` is the session's."""
    advised = profile.recommendation
    if advised is None:
        return ["nothing is recommended: no mode has carried a known sum"]
    sets = " ".join(f"--set {key}={value}" for key, value in advised.settings.items())
    return [
        f"recommended: {advised.mode} mode, window {advised.window:,}, pilots of {advised.pilot_window:,}, receive gain "
        f"{advised.receive_gain_db:.4g} dB; expected error of the sum {100 * advised.expected_error:.2g} % of full scale, rms",
        *(f"  {reason}" for reason in advised.reasons),
        f"use it with: --profile {folder} {sets}",
    ]


def differences_lines(found: Sequence[Difference]) -> list[str]:
    """One line each, in console markup: what it was, what it is, and the change in standard errors."""
    return [
        f"[{'yellow' if one.significant else 'dim'}]{minus(f'{one.score:+.1f}'):>8}[/]  "
        + escape(f"{one.quantity}, {one.subject}: {minus(str(one.before))}, now {minus(str(one.after))}")
        for one in found
    ]
