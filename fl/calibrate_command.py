"""`pairzero calibrate`: a session; `show`, `diff` and `export` of what one found."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radio.errors import InputError

if TYPE_CHECKING:
    from calibration.profile import Profile
    from calibration.session import Session
    from calibration.stand import Stand
    from fl.config import Experiment

calibrate_app = typer.Typer(help="Calibrate a station: a session, and what it found.", invoke_without_command=True)

FolderOrFile = Annotated[Path, typer.Argument(metavar="PROFILE", help="Session folder, or its profile.toml.")]


@calibrate_app.callback()
def calibrate(
    context: typer.Context,
    station: Annotated[
        Path | None, typer.Option("--station", metavar="FILE", help="Station file: its radios, real or virtual.")
    ] = None,
    loopback: Annotated[
        Path | None,
        typer.Option("--loopback", metavar="EXPERIMENT", help="The simulated air of an experiment instead."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="With --loopback: change one setting."),
    ] = None,
    steps: Annotated[
        str, typer.Option(metavar="A,B,...", help="Only these, and what they need; default: all but the long `drift`.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Session folder; default: calibrations/NAME, numbered if taken.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this session: steps that are done are kept, others are added.")
    ] = None,
    allow_tx: Annotated[
        bool, typer.Option("--allow-tx", help="You may transmit as the station file says, which has no \\[permit].")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result.")] = False,
) -> None:
    """Measure what the radios and the channel between them really do, and write a dated profile (TOML), captures (SigMF) and a
    report (HTML). Nothing transmits without a permit; every way out mutes; Ctrl-C keeps what is done."""
    if context.invoked_subcommand is not None:
        return
    from calibration.session import Session, in_order
    from calibration.stand import at_station, on_loopback
    from fl.terminal import console

    if station is not None and loopback is not None:
        raise InputError(
            "--station and --loopback exclude each other: a session is of real or virtual radios or of simulated ones"
        )
    if station is None and loopback is None:
        raise InputError(
            "name what is to be calibrated: --station FILE (radios, real or virtual) or --loopback EXPERIMENT (simulated ones)"
        )
    if loopback is None and overrides:
        raise InputError("--set changes an experiment's simulated air; with --station, edit the station file")
    if allow_tx and station is None:
        raise InputError("--allow-tx without --station: nothing would be transmitted; leave it out, or name a station")
    if out is not None and resume is not None:
        raise InputError("--resume names the session's folder already; leave out --out")
    chosen = in_order([name.strip() for name in steps.split(",") if name.strip()])

    def say(text: str) -> None:
        if not quiet:
            console.print(f"  {text}", markup=False)

    if station is not None:
        from fl.station import permit_of
        from radio.station import load_station

        file = load_station(station)
        opening = at_station(file, permit_of(file, allow_tx), say)
        name = file.station.name
    else:
        assert loopback is not None
        from fl.config import load

        experiment = load(loopback, overrides or [], say)
        opening = on_loopback(*_place(experiment), say)
        name = experiment.run.name
    folder = resume or _new(out, Path("calibrations") / name)
    logging.getLogger("radio.pluto.transceiver").addFilter(_not_of_losses)
    with opening as stand:
        _announce(stand, folder, len(chosen), quiet)
        session = Session(folder, stand, chosen, *_telling(quiet))
        try:
            profile = session.run()
        except KeyboardInterrupt:
            console.print(
                f"stopped and muted; what is done is kept. Go on with: pairzero calibrate {_words(station, loopback)} "
                f"--resume {folder}",
                markup=False,
            )
            raise
    _conclude(profile, session, folder, quiet)


@calibrate_app.command()
def show(profile: FolderOrFile) -> None:
    """Print what a session found, and write (again) its report."""
    from calibration.profile import load_profile
    from calibration.report import write_report
    from fl.calibrate_lines import findings_lines, reasons
    from fl.terminal import console

    found = load_profile(profile)
    console.print(f"{found.name}, {found.made:%Y-%m-%d %H:%M} UTC", markup=False)
    for line in findings_lines(found):
        console.print(line)
    folder = profile if profile.is_dir() else profile.parent
    for line in reasons(found, folder):
        console.print(line, markup=False)
    console.print(f"report: {write_report(folder)}", markup=False)


@calibrate_app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="Session folder, or its profile.toml.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The other one.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what has not changed.")] = False,
) -> None:
    """Compare two sessions: every quantity that both have measured, the difference in units of its standard error."""
    from calibration.difference import differences
    from calibration.profile import load_profile
    from fl.calibrate_lines import differences_lines
    from fl.terminal import console

    a, b = load_profile(before), load_profile(after)
    found = differences(a, b)
    changed = [one for one in found.quantities if one.significant]
    console.print(
        f"{a.name} of {a.made:%Y-%m-%d %H:%M} against {b.name} of {b.made:%Y-%m-%d %H:%M} UTC: {len(changed)} of "
        f"{len(found.quantities)} quantities differ by more than chance",
        markup=False,
    )
    for line in found.settings:
        console.print(line, markup=False)
    shown = found.quantities if everything else changed
    if shown:
        console.print("    sigma  quantity: A, now B", style="dim")
    for line in differences_lines(shown):
        console.print(line)


@calibrate_app.command()
def export(
    session: Annotated[Path, typer.Argument(metavar="SESSION", help="Session folder.")],
    out: Annotated[Path, typer.Argument(metavar="NAME", help="NAME.npz and NAME.sigmf-meta are written.")],
) -> None:
    """Write the channel of a session as a data set: complex gains of every device over time (npz), described in SigMF; loopback
    replays it with radio.channel = NAME.npz."""
    from calibration.channel_data import export as write
    from fl.terminal import console

    made = write(session, out)
    console.print(f"channel: {made} (replay it with --set radio.channel={made})", markup=False)


def _not_of_losses(record: logging.LogRecord) -> bool:
    """A receiver that was left alone while time passed has lost samples; the steps hear again, and say so where that fails."""
    return "samples were lost" not in record.getMessage()


def _place(experiment: Experiment) -> tuple[Any, dict[str, Any], str]:
    """The experiment's surroundings, the settings they come from, and a name."""
    from fl.surroundings import described, surroundings_of

    return surroundings_of(experiment), described(experiment), experiment.run.name


def _new(out: Path | None, default: Path) -> Path:
    """`out`, which must be free, or the first free one of `default`, `default`-2, ..."""
    from calibration.profile import NAME

    if out is not None:
        if (out / NAME).is_file():
            raise InputError(f"{out} already holds a session; go on with it with --resume {out}, or name another --out")
        return out
    number, folder = 1, default
    while folder.exists():
        number += 1
        folder = default.with_name(f"{default.name}-{number}")
    return folder


def _words(station: Path | None, loopback: Path | None) -> str:
    return f"--station {station}" if station is not None else f"--loopback {loopback}"


def _announce(stand: Stand, folder: Path, steps: int, quiet: bool) -> None:
    from fl.terminal import console

    if quiet:
        return
    many = 0 if stand.rig is None else stand.rig.devices
    console.print(f"{stand.name}: {many} devices and a receiver, {steps} steps, into {folder}", markup=False)
    for finding in stand.findings:
        console.print(f"{finding.subject}: {finding.quantity}: {finding.advice}", markup=False)


def _telling(quiet: bool) -> tuple[Any, Any]:
    """What is printed before and after a step."""
    from fl.terminal import console
    from radio.wording import duration

    if quiet:
        return (lambda step: None), (lambda record: None)
    colour = {"pass": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}

    def done(record: Any) -> None:
        verdict = record.verdict
        console.print(
            f"[{colour[verdict]}]{verdict:8}[/]{record.name:16} {len(record.findings)} findings, {duration(record.radio_s)} of "
            "radio time"
        )

    return (lambda step: console.print(f"{step.name}: {step.about}", style="dim", markup=False)), done


def _conclude(profile: Profile, session: Session, folder: Path, quiet: bool) -> None:
    from calibration.report import NAME
    from fl.calibrate_lines import findings_lines, reasons
    from fl.terminal import console

    trouble = [finding for finding in profile.findings if finding.verdict in ("fail", "warn")]
    if not quiet:
        for line in findings_lines(profile, trouble):
            console.print(line)
    for line in reasons(profile, folder):
        console.print(line, markup=False)
    console.print(f"profile: {folder / 'profile.toml'}", markup=False)
    console.print(f"report: {folder / NAME}", markup=False)
    if not profile.device:
        raise InputError("; ".join(f"{one.subject}: {one.advice}" for one in profile.findings if one.verdict == "fail"))
    if any(record.failure for record in session.records.values()):
        raise InputError(
            f"some steps gave no result; mend what the report says, then: pairzero calibrate ... --resume {folder}"
        )
