"""`pairzero radio ...`: radios, and what they recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radio.errors import InputError

radio_app = typer.Typer(help="Radios (ADALM-Plutos, real or virtual), and what they recorded.", no_args_is_help=True)

Uri = Annotated[
    str,
    typer.Argument(
        metavar="URI",
        help="ip:HOST, ip:HOST:PORT, usb:BUS.DEVICE.INTERFACE, usb: (the only one there) or a serial number; see `radio find`.",
    ),
]

LONGEST = 1 << 24  # samples of a capture that are drawn: 17 s at 1 MS/s, 270 MB


@radio_app.command()
def find(
    uri: Annotated[
        list[str] | None, typer.Option("--uri", metavar="URI", help="Ask this address instead of looking around.")
    ] = None,
    local: Annotated[
        int, typer.Option(min=0, max=64, help="Also ask 127.0.0.2 and on, this many, where virtual units are.")
    ] = 0,
) -> None:
    """List the Plutos there are, with their serial numbers. Exit code 2 if there is none, or if one cannot be used."""
    from radio.pluto.scan import find as find_units

    asked = [*(uri or []), *(f"ip:127.0.0.{2 + k}" for k in range(local))]
    found = find_units(asked)
    for unit in found:
        if unit.serial or not unit.fault:
            typer.echo(f"{unit.uri}  serial {unit.serial or 'unknown'}  {unit.model}, firmware {unit.firmware}")
    faults = [unit.fault for unit in found if unit.fault]
    if not found:
        raise InputError(
            "no Pluto was found on USB or by name; ask an address with --uri ip:192.168.2.1, or virtual ones with --local 5"
        )
    if faults:
        raise InputError("\n".join(faults))


@radio_app.command()
def probe(uri: Uri) -> None:
    """Print what one unit is, how it is set and what it allows. Changes nothing."""
    from rich.console import Console
    from rich.table import Table

    from radio.pluto.scan import probe as probe_unit

    seen = probe_unit(uri)
    typer.echo(
        f"{seen.uri}: {seen.model}, serial {seen.serial or 'unknown'}, firmware {seen.firmware}, iiod {seen.iiod}"
    )
    temperatures = ", ".join(f"{name} {value:.1f} C" for name, value in seen.temperatures.items())
    reference = "unknown" if seen.xo_correction_hz is None else f"{seen.xo_correction_hz:.0f} Hz"
    typer.echo(f"state {seen.state}; gain control {seen.gain_mode}; reference {reference}; {temperatures}")
    table = Table("setting", "now", "allowed", box=None)
    for name, value in seen.settings.items():
        unit = "dB" if name.endswith("gain") else "samples/s" if name == "rate" else "Hz"
        table.add_row(f"{name.replace('_', ' ')} ({unit})", f"{value:.10g}", str(seen.ranges[name]))
    Console(soft_wrap=True, highlight=False).print(table)


@radio_app.command()
def selftest(uri: Uri) -> None:
    """Test one unit in digital loopback; nothing is radiated. Exit code 2 if a test fails."""
    from radio.pluto.selftest import selftest as checks

    failed = 0
    for check in checks(uri):
        failed += not check.passed
        typer.echo(f"{'pass' if check.passed else 'FAIL'}  {check.name:20} {check.detail}")
    if failed:
        raise InputError(f"{uri}: {failed} test(s) failed; see above, and hardware.md for what each of them means")
    typer.echo(f"{uri}: all tests passed")


@radio_app.command()
def tone(
    uri: Uri,
    lo: Annotated[float, typer.Option(metavar="HZ", help="LO frequency.")],
    allow_tx: Annotated[
        bool, typer.Option("--allow-tx", help="You may transmit at this frequency and power, and vouch for it.")
    ] = False,
    offset: Annotated[float, typer.Option(metavar="HZ", help="Of the tone from the LO.")] = 100e3,
    attenuation: Annotated[float, typer.Option(min=0.0, max=89.75, help="dB below full power.")] = 50.0,
    seconds: Annotated[float, typer.Option(help="How long.")] = 5.0,
    rate: Annotated[float, typer.Option(metavar="HZ", help="Sampling rate.")] = 1e6,
    station: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Station file whose \\[permit] allows it instead of --allow-tx.")
    ] = None,
) -> None:
    """Send a tone, for a spectrum analyser or a power meter, and mute. Refused without a permission."""
    from radio.pluto.permit import PermitError, TransmitPermit
    from radio.pluto.tone import send_tone, tone_permit

    permit: TransmitPermit | None = None
    if station is not None:
        from radio.station import load_station

        allowed = load_station(station).permit
        permit = None if allowed is None else allowed.transmit_permit()
    elif allow_tx:
        permit = tone_permit(lo, rate, -attenuation, seconds)
    if permit is None:
        raise PermitError(
            f"a tone at {lo / 1e6:g} MHz would be radiated, and nothing permits it; pass --allow-tx if you may transmit there "
            "at that power (into a cable or a dummy load at first), or --station FILE with a [permit]"
        )
    frequency = send_tone(
        uri,
        permit,
        lo_hz=lo,
        offset_hz=offset,
        rate_sps=rate,
        gain_db=-attenuation,
        seconds=seconds,
        announce=typer.echo,
    )
    typer.echo(f"muted; the tone was at {frequency / 1e6:.6f} MHz")


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
        typer.echo(
            "no pilot with a steady tone is annotated (coherent mode has them), so the constellation is left out"
        )
    typer.echo(f"picture: {target}")
