"""`pairzero radio ...`: looking at radios and at what they recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

radio_app = typer.Typer(help="Look at radios and at what they recorded.", no_args_is_help=True)

LONGEST = 1 << 24  # samples of a capture that are drawn: 17 s at 1 MS/s, 270 MB


@radio_app.callback()
def _group() -> None:
    """Keeps `plot` a word of its own while it is the only one."""


@radio_app.command()
def plot(
    capture: Annotated[
        Path, typer.Argument(metavar="CAPTURE", help="SigMF recording: NAME.sigmf-meta, NAME or archive.")
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Default: NAME.png beside it.")] = None,
    full_scale: Annotated[
        float | None, typer.Option(metavar="CODE", help="ADC full scale of integer samples: 2048 for 12 bits.")
    ] = None,
) -> None:
    """Draw a recording: spectrum, waterfall, constellation of the pilots, energy of every slot."""
    from radio.pictures import pictures
    from radio.recording import name_of, read_recording
    from radio.sheet import heading, write_sheet

    recording = read_recording(capture, full_scale=full_scale, limit=LONGEST)
    made = pictures(recording)
    name = name_of(capture)
    target = capture.with_name(f"{name}.png") if out is None else out
    write_sheet(target, heading(name, recording), made)
    if recording.total > recording.samples.size:
        typer.echo(f"the first {recording.samples.size:,} of {recording.total:,} samples are drawn")
    if recording.rate_sps is None:
        typer.echo(
            "the recording does not say its sampling rate: time is in samples, frequency in fractions of the rate"
        )
    if not recording.scale_known:
        typer.echo(
            "levels are relative to the full scale of the integer type; for an ADC of 12 bits say --full-scale 2048"
        )
    if not any(picture.name == "constellation" for picture in made):
        typer.echo("no pilot is annotated (docs/recordings.md), so the constellation is left out")
    typer.echo(f"picture: {target}")
