"""The tables of a sweep: a line a run as CSV, and a line a cell of the grid, mean and interval over seeds, as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from fl.interval import student_half
from fl.run_folder import write_atomic
from fl.sweep import Cell, Summary

FIGURES = (
    "accuracy", "loss", "zero_shot_accuracy", "chance_floor", "epsilon", "rounds", "erased", "train_s", "peak_rss_mib",
    "params_digest",
)  # fmt: skip

Results = Sequence[tuple[Cell, Summary]]


def write_tables(out: Path, results: Results) -> tuple[Path, Path]:
    """Write `runs.csv` and `sweep.md` into the sweep's folder."""
    runs, table = out / "runs.csv", out / "sweep.md"
    write_atomic(runs, as_csv(results))
    write_atomic(table, as_markdown(results))
    return runs, table


def as_csv(results: Results) -> str:
    text = io.StringIO()
    keys = list(results[0][0].settings) if results else []
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*keys, "seed", *FIGURES, "run"])
    for cell, summary in results:
        figures = ["" if summary[key] is None else summary[key] for key in FIGURES]
        lines.writerow([*cell.settings.values(), summary["seed"], *figures, cell.path])
    return text.getvalue()


def as_markdown(results: Results) -> str:
    """Accuracy as mean +- half of the 95 % interval (Student's t over seeds), never without its floor."""
    groups: dict[tuple[str, ...], list[Summary]] = {}
    for cell, summary in results:
        groups.setdefault(tuple(cell.settings.values()), []).append(summary)
    keys = list(results[0][0].settings) if results else []
    lines = [_line([*keys, "seeds", "accuracy", "chance floor", "loss", "epsilon, largest", "s a run"])]
    lines.append(_line(["---"] * (len(keys) + 6)))
    for values, summaries in groups.items():
        spent = [s["epsilon"] for s in summaries if s["epsilon"] is not None]
        lines.append(
            _line(
                [
                    *values,
                    str(len(summaries)),
                    _mean([s["accuracy"] for s in summaries], 100.0, " %"),
                    f"{100 * max(s['chance_floor'] for s in summaries):.1f} %",
                    _mean([s["loss"] for s in summaries], 1.0, "", 4),
                    f"{max(spent):.3f}" if spent else "privacy off",
                    f"{sum(s['train_s'] for s in summaries) / len(summaries):.1f}",
                ]
            )
        )
    return "\n".join(lines) + "\n"


def _mean(values: list[float], scale: float, unit: str, digits: int = 1) -> str:
    mean = scale * sum(values) / len(values)
    half = student_half(values)
    return f"{mean:.{digits}f}" + ("" if half is None else f" ± {scale * half:.{digits}f}") + unit


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
