"""The picture of `pairzero privacy plan`: four panels, one legend."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from fl.privacy_plan import Axis, Point
from radio.errors import InputError
from radio.palette import BLUE, INK, MUTED, ORANGE, STYLE
from radio.recording import write_bytes

DOTS_PER_INCH = 160
LABELS: dict[Axis, str] = {
    "epsilon": "budget \u03b5",
    "devices": "devices K",
    "snr_db": "SNR per received scalar (dB)",
    "rounds": "rounds T",
}


def write_plan(path: Path, title: str, points: list[Point]) -> None:
    """Draw and write to `path` (.png, .svg or .pdf) in one step.

    Raises InputError for another suffix and for a path that cannot be written.
    """
    formats = (".png", ".svg", ".pdf")
    if path.suffix.lower() not in formats:
        raise InputError(f"--out {path}: a picture's name ends in {', '.join(formats)}")
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        _figure(title, points).savefig(out, format=path.suffix[1:].lower(), dpi=DOTS_PER_INCH, facecolor="white")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, out.getvalue())
    except OSError as problem:
        raise InputError(f"cannot write {path}: {problem.strerror}; choose another place with --out") from None


def _figure(title: str, points: list[Point]) -> Figure:
    layout = ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 0.9), h_pad=0.09, w_pad=0.09)
    figure = Figure(figsize=(8.6, 6.2), layout=layout)
    figure.text(0.015, 0.97, textwrap.fill(title, 110), fontsize=9.5, weight="bold", va="center")
    panels = figure.subplots(2, 2, sharey=True).ravel()
    for axes, axis in zip(panels, LABELS, strict=True):
        _panel(axes, axis, [point for point in points if point.axis == axis])
    for axes in panels[::2]:
        axes.set_ylabel("noise of the mean / clip")
    handles: dict[str, Artist] = {}
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(handles.values()), list(handles), loc="upper left", bbox_to_anchor=(0.01, 0.945), ncols=len(handles)
    )
    return figure


def _panel(axes: Axes, axis: Axis, points: list[Point]) -> None:
    axes.set_xlabel(LABELS[axis])
    if len(points) < 2:
        axes.text(0.5, 0.5, "set by the profile", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        axes.set_xticks([])
        return
    at = np.array([point.value for point in points])
    lines = (
        ("devices' own noise", BLUE, "o", [point.own for point in points]),
        ("receiver and channel estimates", ORANGE, "s", [point.air for point in points]),
    )
    for label, colour, marker, values in lines:
        drawn = np.array([np.nan if value is None or value <= 0.0 else value for value in values])
        axes.plot(at, drawn, f"-{marker}", color=colour, markersize=3.6, label=label)
    both = np.array([np.nan if point.both is None else point.both for point in points])
    axes.plot(at, both, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="together", zorder=1)
    (here,) = [point for point in points if point.here]
    axes.axvline(here.value, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    if here.both is not None:
        axes.plot(
            [here.value], [here.both], "o", markersize=9, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=1.3, linestyle="none", label="this experiment", zorder=5,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if axis != "snr_db":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_ticks(at)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _ticks(values: np.ndarray) -> list[float]:
    """The values themselves, but for those whose labels would touch on a logarithmic axis."""
    span = np.log(values[-1] / values[0])
    kept = [float(values[0])]
    for value in values[1:]:
        if np.log(value / kept[-1]) > 0.09 * span:
            kept.append(float(value))
    return kept
