"""`pairzero status [RUN...]`: one line a run, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radio.errors import InputError

if TYPE_CHECKING:
    from fl.reporting.run_files import RunFiles


def status(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help="Run folders; default: all in runs/.", show_default=False),
    ] = None,
) -> None:
    """Print a line a run: state, rounds, accuracy, epsilon, and how long ago its last record was.  It never writes."""
    from fl.reporting.run_files import read_run
    from fl.run_folder import is_run

    chosen = runs or [path for path in sorted(Path("runs").glob("*")) if is_run(path)]
    if not chosen:
        raise InputError("there is no run folder in runs/ here; name one: pairzero status RUN")
    rows: list[tuple[str, ...]] = []
    damaged: list[InputError] = []
    for path in chosen:
        try:
            rows.append((str(path), *cells(read_run(path))))
        except InputError as error:  # the others are still worth knowing
            damaged.append(error)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if damaged:
        raise InputError("; ".join(map(str, damaged)))


def cells(run: RunFiles) -> tuple[str, ...]:
    """State, rounds, accuracy, epsilon, age of the last record."""
    from fl.reporting.facts import completed
    from fl.reporting.progress import silent_s, span
    from fl.reporting.run_files import evaluations

    known = completed(run, evaluations(run))
    total = run.option("learning", "rounds", known["rounds"])
    accuracy = known.get("accuracy")
    silent = silent_s(run)
    return (
        _word(run),
        f"{known['rounds']:,} of {total:,} rounds",
        "not evaluated" if accuracy is None else f"accuracy {accuracy:.1%}",
        _spent(run, known.get("epsilon")),
        "no record" if silent is None else f"last record {span(silent)} ago",
    )


def _word(run: RunFiles) -> str:
    """A run that has said nothing for long and has not ended was killed, or has lost its devices."""
    from fl.reporting.progress import SILENT_S, ended, silent_s

    if ended(run):
        return str(run.journal[-1]["reason"])
    silent = silent_s(run)
    if silent is None:
        return "not begun"
    return "silent" if silent > SILENT_S else "running"


def _spent(run: RunFiles, spent: float | None) -> str:
    from fl.reporting.facts import privacy_state
    from fl.reporting.progress import epsilon_bound
    from radio.wording import bound

    state, word = privacy_state(run), ""
    if state == "off":
        return "no privacy"
    if spent is None:
        spent, word = epsilon_bound(run), "at most "
    if spent is None:
        return "epsilon in the devices' ledgers"
    void = " (VOID)" if state == "void" else ""
    return f"epsilon {word}{bound(spent)} of {run.option('privacy', 'epsilon', float('nan')):g}{void}"
