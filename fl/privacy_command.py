"""`pairzero privacy ...`: what a run guarantees, and what a guarantee would cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fl.audit_command import audit

privacy_app = typer.Typer(help="What a run guarantees, and what a guarantee costs.", no_args_is_help=True)


@privacy_app.command("statement")
def print_statement(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, finished or not.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say what a run guarantees, to whom, against whom, under every threat, and what was spent on what."""
    from fl.privacy_facts import facts_in
    from privacy.statement import statement, statement_dict

    facts = facts_in(run)
    typer.echo(json.dumps(statement_dict(facts), indent=1, allow_nan=False) if as_json else statement(facts))


@privacy_app.command("plan")
def print_plan(
    experiment: Annotated[Path | None, typer.Argument(help="Experiment file; default: examples/demo.toml.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it: .png, .svg or .pdf.")] = None,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures.")] = None,
) -> None:
    """Sweep epsilon, devices, SNR and rounds around an experiment: the noise its learning would see. Nothing is transmitted,
    no ledger is opened."""
    from rich.console import Console

    from fl.config import load
    from fl.privacy_plan import describe, plan, plan_dict, table, warning
    from fl.run_folder import write_json
    from fl.shipped import default_experiment

    settings = load(experiment or default_experiment(), overrides or [])
    points = plan(settings)
    typer.echo(describe(settings))
    Console(highlight=False).print(table(points))
    if told := warning(settings):
        typer.echo(f"warning: {told}")
    if file is not None:
        write_json(file, plan_dict(points))
        typer.echo(f"figures: {file}")
    if out is not None:
        from fl.privacy_figure import write_plan

        write_plan(out, describe(settings), points)
        typer.echo(f"picture: {out}")


privacy_app.command()(audit)
