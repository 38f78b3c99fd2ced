"""`pairzero reproduce`: the studies behind the project's claims, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radio.errors import InputError

if TYPE_CHECKING:
    from fl.studies.study import Scale, Study


def reproduce(
    what: Annotated[
        str, typer.Argument(metavar="list|NAME|all", help="A study, all of them, or a list of what there is.")
    ],
    model: Annotated[str, typer.Option(help="`embedded`, a model folder or a hub id, for every cell.")] = "embedded",
    seeds: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Seeds 1 to N; default: the study's own number.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tiny model and a few rounds: the shape, not the figures.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where studies are kept, a folder each.")] = Path(
        "runs/studies"
    ),
    jobs: Annotated[
        int, typer.Option(min=1, help="Cells at a time, each in a process and on its share of the cores.")
    ] = 1,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.KEY=VALUE", help="Change one setting of every cell; task.root=DIR for the data."
        ),
    ] = None,
) -> None:
    """Measure a study's cells and write its tables and figures.  What is in its cells.csv is not measured
    again; Ctrl-C keeps what is done, and the same command goes on."""
    from fl.config import parse_override
    from fl.studies.registry import STUDIES
    from fl.studies.reproduce import reproduce as carry_out
    from fl.studies.study import Scale
    from fl.terminal import say

    settings: dict[str, Any] = {}
    for text in overrides or []:
        section, key, value = parse_override(text)
        settings[f"{section}.{key}"] = value

    def scale_of(study: Study) -> Scale:
        return Scale(quick, seeds or (1 if quick else study.seeds), model, settings)

    if what == "list":
        for line in listing(list(STUDIES.values()), scale_of, out):
            say(line)
        return
    if what not in (*STUDIES, "all"):
        raise InputError(f"reproduce {what!r}: no such study; there are {', '.join(STUDIES)}, and `all`")
    for study in STUDIES.values() if what == "all" else [STUDIES[what]]:
        if model != "embedded" and not study.models:
            if what != "all":
                raise InputError(
                    f"--model {model} with {study.name}, which builds models of its own sizes; leave --model out"
                )
            say(f"{study.name}: left out, for it builds models of its own sizes; --model is for the others")
            continue
        try:
            folder = carry_out(study, scale_of(study), out, say, jobs)
        except KeyboardInterrupt:
            say(f"stopped; what is measured is kept in {out}. Go on with the same command")
            raise
        say(f"{study.name}: {folder / f'{study.name}.md'}")


def listing(studies: list[Study], scale_of: Any, out: Path) -> list[str]:
    """A line a study: what it asks, how many cells, how many of them are there, how long the others take."""
    from fl.studies.record import Record
    from fl.studies.reproduce import folder_of, prepared, source_of

    lines = []
    for study in studies:
        scale: Scale = prepared(scale_of(study), out)
        cells = study.design(scale)
        record = Record(folder_of(source_of(study), scale, out))
        left = [cell for cell in cells if cell not in record]
        minutes = sum(cell.work.seconds for cell in left) / 60.0
        time = "all there" if not left else "seconds" if scale.quick else f"about {minutes:.0f} min on two cores"
        lines.append(f"{study.name:<14} {study.question}")
        lines.append(f"{'':<14} {len(cells)} cells, {len(cells) - len(left)} measured; the rest takes {time}")
    if not studies or scale_of(studies[0]).quick:
        return lines
    return [
        *lines,
        "Times are of the embedded model. The data: --set task.root=DIR (SST-2), or --set task.name=reviews",
    ]
