"""Pictures of a run's recordings, as `pairzero radio plot` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fl.recordings import recordings_of
from radio.errors import InputError
from radio.figure import Plot, absent, plotted
from radio.pictures import pictures
from radio.recording import name_of, read_recording
from radio.sheet import heading


@dataclass(frozen=True)
class Capture:
    """One recording: `title` names it, `file` is its path in the run folder."""

    title: str
    file: str
    plots: list[Plot]


def captures(run: Path) -> list[Capture]:
    """The first and the last recording of a run; what cannot be read says so in its place."""
    files = recordings_of(run)
    shown = files if len(files) < 2 else [files[0], files[-1]]
    return [_capture(run, file, f"capture{index}") for index, file in enumerate(shown)]


def _capture(run: Path, file: Path, prefix: str) -> Capture:
    name, where = name_of(file), str(file.relative_to(run))
    try:
        recording = read_recording(file)
    except InputError as problem:
        why = str(problem).replace(f"{file}", where)
        return Capture(name, where, [absent(prefix, "The recording cannot be read.", why)])
    return Capture(heading(name, recording), where, [plotted(p, f"{prefix}-") for p in pictures(recording)])
