"""`pairzero privacy audit`: are the claims true, and would we notice if they were not?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from radio.errors import RequirementError

WIDTH = 170

if TYPE_CHECKING:
    from fl.result_file import Row
    from privacy.audit.findings import Finding


def audit(
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures as JSON.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Shorter runs, and no attack on a trained model.")] = False,
    seed: Annotated[int, typer.Option(help="Public seed of the simulated transcripts.")] = 1,
) -> None:
    """Audit the privacy of correct systems and of systems with planted faults (docs/audit.md)."""
    # A table in a file or a pipe need not fit a terminal.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    findings = _run(quick, seed, console)
    correct = [finding for finding in findings if finding.fault is None]
    planted = [finding for finding in findings if finding.fault is not None]
    _print(console, "Correct systems", correct)
    if quick:
        console.print("attacks on the trained model: left out by --quick")
    _print(console, "Planted faults", planted)
    _conclude(console, findings, json, quick)


def _run(quick: bool, seed: int, console: Console) -> list[Finding]:
    from fl.device_audit import bench, device_audits
    from privacy.audit.configurations import FULL, QUICK
    from privacy.audit.findings import radio_audits

    findings: list[Finding] = []
    with Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not sys.stdout.isatty(),
    ) as bar:  # fmt: skip
        line = bar.add_task("audit", total=None)

        def work(audits: Iterable[tuple[str, Callable[[], Finding]]]) -> None:
            for name, run in audits:
                bar.update(line, description=name)
                findings.append(run())
                bar.advance(line)

        work(radio_audits(QUICK if quick else FULL, seed))
        bar.update(line, description="running code")
        with bench(seed) as built:
            work(device_audits(built))
        if not quick:
            from fl.privacy_audit import ROUNDS, model_findings, recursion_finding, train_with_coins

            bar.update(line, description="recursion with canaries")
            findings.append(recursion_finding(seed))
            rounds = bar.add_task("training with canaries", total=ROUNDS)
            findings += model_findings(train_with_coins(seed, lambda: bar.advance(rounds)))
    return findings


def _print(console: Console, title: str, findings: Sequence[Finding]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    planted = any(finding.fault is not None for finding in findings)
    for column in [*["fault"] * planted, "configuration", "threat", "claimed", "audited", "verdict", "how"]:
        table.add_column(column, justify="right" if column in ("claimed", "audited") else "left")
    for finding in findings:
        colour = "red" if finding.flagged == (finding.fault is None) else "green"
        table.add_row(
            *[escape(finding.fault or "")] * planted,
            escape(finding.configuration),
            escape(finding.threat),
            _figure(finding.claimed),
            _figure(finding.lower, at_least=True),
            f"[{colour}]{finding.verdict}[/]",
            escape(finding.found),
        )
    console.print(table)


def _figure(value: float | None, at_least: bool = False) -> str:
    return "" if value is None else f"{'>= ' if at_least else ''}{value:.2f}"


def _conclude(console: Console, findings: Sequence[Finding], file: Path | None, quick: bool) -> None:
    from fl.result_file import write_results
    from privacy.audit.faults import NAMES
    from privacy.audit.findings import CONFIDENCE, false_alarms, faults_flagged

    flagged, alarms = list(faults_flagged(findings)), false_alarms(findings)
    console.print(
        f"{len(flagged)} of {len(NAMES)} faults flagged, {len(alarms)} false alarms. Claimed and audited are epsilon at the "
        f"same delta; all likelihood-ratio bounds hold together with confidence {CONFIDENCE:.0%}."
    )
    if file is not None:
        write_results(file, "audit", _rows(findings, len(flagged), len(alarms)), quick)
    missed = [name for name in NAMES if name not in flagged]
    if missed or alarms:
        said = [f"missed: {', '.join(missed)}"] * bool(missed)
        said += [f"false alarm: {', '.join(alarm.configuration for alarm in alarms)}"] * bool(alarms)
        raise RequirementError(f"the audit failed; {'; '.join(said)}. Do not trust a claim before this is understood")


def _rows(findings: Sequence[Finding], flagged: int, alarms: int) -> list[Row]:
    from fl.result_file import Row
    from privacy.audit.faults import NAMES

    headline = next(finding for finding in findings if finding.claimed is not None)
    assert headline.claimed is not None and headline.lower is not None
    of = f"{headline.configuration}, {headline.threat}"
    rows = [
        Row("epsilon_lower", headline.lower, "epsilon", of),
        Row("claimed_epsilon", headline.claimed, "epsilon", of),
        Row("faults_flagged", flagged, "faults", f"of {len(NAMES)} planted"),
        Row("false_alarms", alarms, "systems", f"of {sum(f.fault is None for f in findings)} correct ones"),
    ]
    for finding in findings:
        said = f"{finding.configuration}; {finding.threat}; {finding.verdict}; {finding.found}"
        name = finding.fault or "correct system"
        if finding.lower is None or finding.claimed is None:
            rows.append(Row(name, float(finding.flagged), "flagged", said))
        else:
            rows.append(Row(name, finding.lower, "epsilon", f"{said}; claimed {finding.claimed:.4f}"))
    return rows
