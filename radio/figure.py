"""Figures and pages: palette, axes, SVG made by matplotlib without pyplot, and the templates of self-contained HTML pages.

The SVG is a pure function of what is drawn (fixed hash salt, no date). Colours are written as CSS variables with a
fallback, so that the page can turn them for a dark screen while the SVG stays legible by itself.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from radio.palette import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PURPLE, SERIES, STYLE
from radio.pictures import Picture

__all__ = ["BLUE", "GREEN", "GRID", "INK", "MUTED", "ORANGE", "PURPLE", "SERIES"]

VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", **{colour: f"s{i}" for i, colour in enumerate(SERIES[:7])}}


@dataclass(frozen=True)
class Plot:
    """One figure: `title` says what is shown, `caption` how it was made.

    `not_private`: truths that only a simulation knows went into it.
    """

    name: str
    title: str
    caption: str
    svg: str
    not_private: bool = False


def render(name: str, title: str, draw: Callable[[Axes], None], height: float = 2.9) -> str:
    """One axes of fixed width drawn by `draw`, as an SVG element that scales with the page."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            # As many columns as fit: a row wider than the axes would squeeze the plot.
            room = 340 / (28 + 4.9 * max(len(label) for label in labels))
            axes.legend(
                handles, labels, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=max(1, min(len(handles), int(room)))
            )
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    # Ids are unique only within one file; the page holds a dozen of them.
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(
        r"font: ([0-9.]+)px [^;\"]*", r"font: \1px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", svg
    )
    for colour, variable in VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\1: var(--{variable}, {colour})", svg)
    svg = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        rf'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        rf'\1 role="img" class="plot">\n<title>{escape(title)}</title>'.replace("\\n", "\n"),
        svg,
        count=1,
    )
    return re.sub(r"[ \t]+\n", "\n", svg)


def plotted(picture: Picture, prefix: str = "") -> Plot:
    """A picture as a figure of a page; `prefix` tells figures of one name apart."""
    name = f"{prefix}{picture.name}"
    return Plot(name, picture.title, picture.caption, render(name, picture.title, picture.draw, picture.height))


def page(folder: Path, template: str, **values: Any) -> str:
    """The page of `template` in `folder`; it may include "page.css", which all pages share."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)


def absent(name: str, title: str, why: str) -> Plot:
    """A figure's place when there is nothing to draw: it says why."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.text(
            0.5,
            0.5,
            textwrap.fill(why, 58),
            ha="center",
            va="center",
            color=MUTED,
            transform=axes.transAxes,
            linespacing=1.5,
        )

    return Plot(name, title, "", render(name, title, draw, height=1.2))


def rounds_axis(axes: Axes, rounds: NDArray[Any]) -> None:
    low, high = (float(np.min(rounds)), float(np.max(rounds))) if len(rounds) else (0.0, 1.0)
    margin = 0.02 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True))
