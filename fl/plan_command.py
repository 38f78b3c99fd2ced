"""`pairzero plan`: the dry run. Nothing is transmitted, no radio is opened, nothing is charged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from fl.plan import RunPlan


def plan(
    experiment: Annotated[Path | None, typer.Argument(help="Experiment file; default: examples/demo.toml.")] = None,
    station: Annotated[
        Path | None, typer.Option("--station", metavar="FILE", help="Station file; default: the simulated air.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", metavar="PROFILE", help="Calibration of this air (`pairzero calibrate`): session or file."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")
    ] = None,
    allow_tx: Annotated[
        bool, typer.Option("--allow-tx", help="As for `pairzero run`: plan for a station file without a \\[permit].")
    ] = False,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures.")] = None,
) -> None:
    """Say what `pairzero run` would do with an experiment and a station: frequency, gains, time on the air, power against the
    permit, duration, privacy, disk. Touches no radio, charges nothing; refuses (exit code 2) what the run would refuse."""
    from rich.console import Console

    from calibration.profile import load_profile
    from fl.calibrated import profile_for
    from fl.config import load
    from fl.plan import plan_run
    from fl.run_folder import write_json
    from fl.shipped import default_experiment
    from fl.station import bench_for
    from radio.errors import InputError
    from radio.station import load_station

    settings = load(experiment or default_experiment(), overrides or [], typer.echo)
    if allow_tx and station is None:
        raise InputError("--allow-tx without --station: nothing would be transmitted; leave it out, or name a station")
    bench = None if station is None else bench_for(settings, load_station(station), allow_tx=allow_tx, profile=profile)
    if profile is not None and bench is None:
        profile_for(settings, profile, None)
    found = plan_run(
        settings, bench, Path("runs") / settings.run.name, None if profile is None else load_profile(profile)
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{settings.learning.devices} devices, {found.rounds:,} rounds: {found.air}", markup=False)
    for note in found.notes:
        console.print(note, markup=False)
    console.print(facts(found))
    if found.devices:
        console.print(powers(found))
    if file is not None:
        write_json(file, found.as_dict())
        typer.echo(f"figures: {file}")


def facts(found: RunPlan) -> Table:
    """Name, value, and what the value rests on."""
    from rich.markup import escape
    from rich.table import Table

    from radio.wording import duration, short

    table = Table(title="the run", title_justify="left", box=None, show_header=False, pad_edge=False)
    for wraps in (False, False, True):
        table.add_column(no_wrap=not wraps, overflow="fold")

    def row(name: str, value: str, note: str = "") -> None:
        table.add_row(escape(name), escape(value), f"[dim]{escape(note)}[/]" if note else "")

    air, real = found.air_time, bool(found.devices)
    if found.lo_hz is not None:
        row("LO", f"{found.lo_hz / 1e6:.6g} MHz", "of every radio")
        row("receive gain", f"{found.receive_gain_db:g} dB", "manual, for the whole run")
    if air is not None:
        row("rate", f"{(found.rate_sps or 0.0) / 1e6:g} MS/s")
        row("mode", found.mode, f"window of {found.window:,} samples, pilots of {found.pilot_window:,}")
        slots = ", ".join(f"{many} {label}" for label, many in air.slots.items())
        row("slots of a round", str(sum(air.slots.values())), slots)
        rests = "received, and dropped before each slot because it may be older" if real else "simulated time"
        row("air, a round", _milliseconds(air.seconds), rests)
        row(
            "on air, a device",
            _milliseconds(air.on_air_s),
            f"a round; {duration(found.rounds * air.on_air_s)} in the run",
        )
    if found.duty is not None:
        duty = found.duty
        note = f"permitted: {100 * duty.permitted:g} % of {duty.period_s:g} s"
        if duty.stops_after is not None:
            note += f"; the limit stops the run after about {duty.stops_after:,} rounds, and it can be resumed later"
        row("duty cycle", f"{100 * duty.share:.3g} %", note)
    pace = found.pace
    rests = (
        f"measured here just now: {_milliseconds(pace.round_s)} a round for the losses, {duration(pace.evaluation_s)} for "
        f"{found.evaluations} evaluations"
    )
    if real and air is not None:
        rests += (
            f"; {_milliseconds(air.seconds)} of air a round at the sampling rate; commands to the radios not counted"
        )
    elif air is not None:
        rests += "; computing the simulated air not counted"
    row("duration", f"about {duration(found.duration_s)}", rests)
    if found.privacy is None:
        row("privacy", "off", "nothing is charged, nothing is protected")
    else:
        privacy = found.privacy
        void = "VOID: privacy.reproducible derives secrets from the seed; " if privacy.void else ""
        row("privacy", f"every {privacy.unit}", f"{void}against the threat {privacy.threat}")
        allowed = f"{privacy.epsilon_target:g} allowed, with all {privacy.spare_slots} spare slots used"
        row("epsilon at the end", f"{privacy.epsilon_end:.3f}", f"at delta {privacy.delta:g}; {allowed}")
        noise = f"{privacy.noise_std:.4g} on each number that a device sends"
        row("noise multiplier", f"{privacy.noise_multiplier:.4g}", noise)
        row("releases", f"{privacy.releases:,}", "that the noise is sized for, spares included")
        row("ledger", found.ledger_state.partition(":")[0], found.ledger)
    if found.recording_bytes:
        row("recordings", f"{short(found.recording_bytes)}B", "at most")
    return table


def powers(found: RunPlan) -> Table:
    """Device by device: gain and radiated power against the permit."""
    from rich.table import Table

    table = Table(title="devices", title_justify="left", box=None, pad_edge=False)
    for column in ("device", "radio", "transmit gain", "peak EIRP", "permitted", "room"):
        table.add_column(column, justify="left" if column in ("device", "radio") else "right")
    for one in found.devices:
        room = one.permitted_dbm - one.eirp_dbm
        table.add_row(
            str(one.device), one.radio, f"{one.transmit_gain_db:g} dB", f"{one.eirp_dbm:.1f} dBm",
            f"{one.permitted_dbm:g} dBm", f"{room:.1f} dB",
        )  # fmt: skip
    return table


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1.0 else f"{seconds:.2f} s"
