"""A study's folder: NAME.md with its tables, each table as CSV, each figure as SVG and PNG."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure as Canvas

from fl.result_file import machine
from fl.run_folder import write_atomic
from fl.studies.outcome import Measured
from fl.studies.study import Figure, Results, Scale, Study, Table
from radio.palette import STYLE

ABOVE = 6  # entries of a legend above the axes; more are beside them
INTERVALS = (
    "± is half of the 95 % interval, Student's t over seeds; (n) is the number of seeds, and one seed has no interval."
)


def write(folder: Path, study: Study, scale: Scale, results: Results) -> None:
    tables, figures = study.show(results)
    for table in tables:
        write_atomic(folder / f"{table.name}.csv", as_csv(table))
    for figure in figures:
        draw(figure, folder)
    write_atomic(folder / f"{study.name}.md", page(study, scale, results, tables, figures))


def page(study: Study, scale: Scale, results: Results, tables: Sequence[Table], figures: Sequence[Figure]) -> str:
    """The whole study in Markdown."""
    missing = [cell for cell in results.cells if cell.digest not in results.measured]
    done = list(results.measured.values())
    parts = [f"# {study.name}: {study.question}", study.text.strip()]
    if scale.quick:
        parts.append(
            "**Quick form: a few rounds of a tiny untrained model. It shows the study's shape, not its figures.**"
        )
    parts.append(_measured(study, scale, len(results.cells), done))
    parts += [f"## {table.title}\n\n{as_markdown(table)}" for table in tables if table.rows]
    parts += [f"![{figure.caption}]({figure.name}.svg)\n\n{figure.caption}" for figure in figures]
    stopped = [cell for cell in results.cells if (m := results.measured.get(cell.digest)) and m.row["status"] != "done"]
    if stopped:
        lines = [f"* {cell.name}: {results.measured[cell.digest].row['status']}" for cell in stopped]
        parts.append("## Ended early\n\n" + "\n".join(lines))
    if missing:
        parts.append("## Not run\n\n" + "\n".join(f"* {cell.name}" for cell in missing))
    return "\n\n".join(parts) + "\n"


def _measured(study: Study, scale: Scale, cells: int, done: Sequence[Measured]) -> str:
    wall = sum(measured.number("wall_s") or 0.0 for measured in done)
    hosts = sorted({f"{m.row.get('cpu')} ({m.row.get('cores')} cores)" for m in done}) or [str(machine()["cpu"])]
    model = "Tiny untrained OPT" if scale.quick else f"Model {scale.model}" if study.models else "Random weights"
    place = f"../{study.cells_of}{'-quick' if scale.quick else ''}/" if study.cells_of else ""
    if scale.changed:
        model += f", with {scale.changed}"
    return (
        f"{model}; {len(done)} of {cells} cells measured in {wall / 60:.1f} minutes on "
        f"{', '.join(hosts)}. {INTERVALS} Every cell is a row of [cells.csv]({place}cells.csv), every evaluation one of "
        f"[curves.csv]({place}curves.csv)."
    )


def as_csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(table.rows)
    return out.getvalue()


def as_markdown(table: Table) -> str:
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def draw(figure: Figure, folder: Path) -> None:
    """NAME.svg, a pure function of what is drawn, and NAME.png."""
    with matplotlib.rc_context({**STYLE, "figure.facecolor": "white"}):
        canvas = Canvas(figsize=(6.6, figure.height), layout="constrained")
        axes = canvas.add_subplot()
        figure.draw(axes)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            unique = dict(zip(labels, handles, strict=True))
            if len(unique) > ABOVE:
                canvas.set_figwidth(8.8)
                canvas.legend(unique.values(), unique.keys(), loc="outside right upper")
            else:
                columns = max(1, min(len(unique), int(90 / (6 + max(len(label) for label in unique)))))
                canvas.legend(unique.values(), unique.keys(), loc="outside upper left", ncols=columns)
        elif not axes.has_data():
            axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center")
        out = io.StringIO()
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        write_atomic(folder / f"{figure.name}.svg", re.sub(r"[ \t]+\n", "\n", out.getvalue()))
        canvas.savefig(folder / f"{figure.name}.png", dpi=160)
