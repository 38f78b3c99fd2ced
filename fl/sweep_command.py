"""`pairzero sweep`: an experiment over a grid of settings and several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fl.terminal import say
from radio.errors import InputError, StoppedEarly


def sweep(
    experiment: Annotated[Path, typer.Argument(help="Experiment file.")],
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="SECTION.KEY=V1,V2", help="Values of one setting; several grids multiply."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the sweep; call again to go on.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every cell: run.seed and the seeds after it.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting in all runs.")
    ] = None,
    ray: Annotated[
        int | None,
        typer.Option("--ray", metavar="TASKS", min=1, help="So many runs at a time, as Ray tasks (extra: ray)."),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="ADDRESS", help="Of the Ray to join; default: one on this machine."),
    ] = None,
) -> None:
    """Run an experiment over a grid of settings and seeds, and write a table of the results.

    Every run has a folder of its own in --out. Called again, finished runs are skipped and interrupted ones go on.
    """
    from fl import sweep as engine
    from fl.sweep_table import write_tables

    if out is None:
        raise InputError("name the folder of the sweep: --out DIR; calling again with it continues the sweep")
    if ray is None and ray_address is not None:
        raise InputError("--ray-address without --ray: say how many runs at a time, for example --ray 2")
    planned = engine.cells(experiment, overrides or [], engine.parse_grid(grid or []), seeds, out.resolve(), say)
    say(f"{len(planned)} runs in {out}")
    results: dict[Path, engine.Summary] = {}
    failed: list[str] = []
    try:
        for cell, ended in (
            engine.one_after_another(planned) if ray is None else engine.over_ray(planned, ray, ray_address)
        ):
            name = cell.path.relative_to(out.resolve())
            if isinstance(ended, dict):
                results[cell.path] = ended
                say(f"{name}: accuracy {ended['accuracy']:.1%} (floor {ended['chance_floor']:.1%})")
            else:
                failed.append(f"{name}: {ended}")
                say(failed[-1])
    except KeyboardInterrupt:
        say("stopped; nothing is lost. The same command goes on")
        raise
    finally:
        done = [(cell, results[cell.path]) for cell in planned if cell.path in results]
        if done:
            for written in write_tables(out, done):
                say(f"table: {written}")
    if failed:
        raise StoppedEarly(
            f"{len(failed)} of {len(planned)} runs are not finished ({failed[0]}); the same command tries them again"
        )
