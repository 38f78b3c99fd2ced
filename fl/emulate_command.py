"""`pairzero emulate`: virtual Plutos on the network."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated

import typer


def emulate(
    count: Annotated[int, typer.Option(help="Number of units.")] = 5,
    profile: Annotated[str, typer.Option(help="Surroundings: textbook, pluto-bench or pluto-room.")] = "pluto-bench",
    clock: Annotated[str, typer.Option(help="`free`, or `shared`: one 40 MHz reference for all.")] = "free",
    seed: Annotated[int, typer.Option(help="Public seed of every draw.")] = 0,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Samples come as fast as a radio's; otherwise as fast as they are read.")
    ] = False,
    faults: Annotated[
        str | None, typer.Option(metavar="FILE|SPEC", help="TOML file, or UNIT:KIND@EVENT=N[,count=N][,seconds=S];...")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address of the first unit; the others take the following ones.")
    ] = "127.0.0.2",
    port: Annotated[
        int | None, typer.Option(help="Port of the first unit: all are then on one address, on consecutive ports.")
    ] = None,
) -> None:
    """Serve virtual ADALM-Plutos that share one simulated air, until interrupted. Drivers cannot tell them from real ones.

    Prints the URI of each and then `ready`. Unit 0 is the first. Faults: stall, drop, ebusy, eio, gap, saturate, phase,
    power; events: command, capture, open. Example: --faults "1:stall@capture=5;2:power@command=40,seconds=1".
    """
    from radio.emulator.faults import read_faults
    from radio.emulator.server import serve

    _keep_to_one_processor()
    planned = read_faults(faults, count) if faults else []
    leaving = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leaving.set())
    with serve(
        count, profile=profile, clock=clock, seed=seed, realtime=realtime, faults=planned, host=host, port=port
    ) as plutos:
        for unit, uri in zip(plutos.units, plutos.uris, strict=True):
            typer.echo(f"{uri} {unit.serial}")
        typer.echo("ready")
        while not leaving.wait(1.0):  # in short turns: a wait without end is not interrupted everywhere
            pass


def _keep_to_one_processor() -> None:
    """One lock is all that the threads here share, so a second processor is of no use to them, and a client that asks and
    waits, thousands of times a second, is woken far sooner from the same one: half as many rounds again on two."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})  # several emulators: not all of them the same
