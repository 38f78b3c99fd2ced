"""The pictures of a capture on one sheet."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from radio.errors import InputError
from radio.palette import INK, MUTED, STYLE
from radio.pictures import Picture
from radio.recording import Recording, write_bytes

FORMATS = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 150


def write_sheet(path: Path, title: str, made: list[Picture]) -> None:
    """Draw `made`, two in a row, under `title` and write them to `path` (.png, .svg or .pdf) in one step.

    Raises InputError for another suffix and for a path that cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--out {path}: a picture's name ends in {', '.join(FORMATS)}")
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = _sheet(title, made)
        figure.savefig(out, format=path.suffix[1:].lower(), dpi=DOTS_PER_INCH, facecolor="white")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, out.getvalue())
    except OSError as problem:
        raise InputError(f"cannot write {path}: {problem.strerror}; choose another place with --out") from None


def heading(name: str, recording: Recording) -> str:
    """The recording in a line: name, time, hardware, frequency, rate, gain; what is not known is left out."""
    first = recording.segments[0]
    known = [
        name,
        recording.hardware,
        "" if first.time is None else first.time[:19].replace("T", " ") + " UTC",
        "" if first.lo_hz is None else f"{first.lo_hz / 1e6:.10g} MHz",
        "" if recording.rate_sps is None else f"{recording.rate_sps / 1e6:.10g} MS/s",
        "" if first.receive_gain_db is None else f"gain {first.receive_gain_db:.2f} dB".replace("-", "\u2212"),
    ]
    return "  \u00b7  ".join(part for part in known if part)


def _sheet(title: str, made: list[Picture]) -> Figure:
    rows = -(-len(made) // 2)
    height = 4.6 * rows + 0.4
    # The padding leaves room for titles and captions, which are kept out of the layout: their width is not the axes'.
    layout = ConstrainedLayoutEngine(h_pad=0.42, w_pad=0.12, hspace=0.0, rect=(0.0, 0.0, 1.0, 1.0 - 0.4 / height))
    figure = Figure(figsize=(12.0, height), layout=layout)
    figure.text(0.013, 1.0 - 0.25 / height, title, fontsize=12, weight="bold", color=INK, va="center")
    for index, picture in enumerate(made):
        axes = figure.add_subplot(rows, 2, index + 1)
        picture.draw(axes)
        title_pad = 8.0
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            columns = max(1, min(len(handles), int(400 / (32 + 5.2 * max(map(len, labels))))))
            axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns)
            title_pad += 13.0 * -(-len(handles) // columns)
        where = ("figure fraction", "axes fraction")  # columns of text are flush, whatever the axes' shape
        left = 0.013 + 0.5 * (index % 2)
        notes = [
            axes.annotate(
                textwrap.fill(picture.title, 70), (left, 1.0), xytext=(0, title_pad), xycoords=where,
                textcoords="offset points", va="bottom", fontsize=9.5, weight="bold",
            ),
            axes.annotate(
                textwrap.fill(picture.caption, 104), (left, 0.0), xytext=(0, -34), xycoords=where,
                textcoords="offset points", va="top", fontsize=7.5, color=MUTED,
            ),
        ]  # fmt: skip
        for note in notes:
            note.set_in_layout(False)
    return figure
