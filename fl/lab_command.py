"""`pairzero server` and `pairzero device`: one run, a process per device."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fl.terminal import say
from radio.errors import InputError

if TYPE_CHECKING:
    from fl.config import Experiment

Station = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Station file: real radios; default: the air is simulated.")
]
Keys = Annotated[Path | None, typer.Option(metavar="DIR", help="Key folder; default: that of `pairzero keys`.")]


def server(
    experiment: Annotated[Path | None, typer.Argument(help="Experiment file; --resume needs none.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/NAME, numbered if taken.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Continue this run.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace the run that --out already holds.")] = False,
    listen: Annotated[
        str, typer.Option(metavar="ENDPOINT", help="tcp://ADDRESS:PORT; `*` for every address, or any free port.")
    ] = "tcp://127.0.0.1:5755",
    station: Station = None,
    keys: Keys = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds the first round waits for missing devices.")] = 120.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result.")] = False,
) -> None:
    """Serve an experiment to devices that are processes of their own, and write its run folder: on the simulated air, or with
    --station with the station's receiver alone.

    Devices come, go and come back as they like: whoever is missing is left out of the round. Exit codes are those of
    `pairzero run`.
    """
    from fl import run_folder
    from fl.config import load
    from fl.run import finished_summary
    from fl.summary import describe

    created = resume is None
    if resume is not None:
        if experiment is not None or overrides or out is not None or fresh:
            raise InputError(
                f"{resume} keeps the experiment it was started with; resume it without an experiment, --set and --out"
            )
        folder = run_folder.open_run(resume)
        if station is not None:
            _check_station(folder.experiment, station)
            run_folder.move_to(folder, station)
    elif experiment is None:
        raise InputError("name an experiment file, for example examples/demo.toml, or continue a run with --resume RUN")
    else:
        settings = load(experiment, overrides or [], say)
        if station is not None:
            _check_station(settings, station)
        folder = run_folder.create(out or _free(Path("runs") / settings.run.name), settings, fresh, station)
    say(f"run folder {folder.path}")
    try:
        summary = finished_summary(folder)
        if summary is None:
            # torch comes with these, and a bad command line needs no torch
            from fl.lab.keys import default_folder
            from fl.lab.server import Setup, serve

            try:
                setup = Setup(listen, keys or default_folder(), wait)
                summary = serve(folder, setup, (lambda line: None) if quiet else say, quiet)
            except KeyboardInterrupt:
                say(f"stopped; nothing is lost. Continue with: pairzero server --resume {folder.path}")
                raise
    except InputError:
        if created:
            run_folder.discard_unstarted(folder)
        raise
    for line in describe(summary):
        say(line)
    say(f"privacy statement: {folder.path / 'statement.txt'}")
    say(f"report: {folder.path / 'report.html'}")


def device(
    name: Annotated[str, typer.Argument(help="Name under which its key was enrolled.")],
    server: Annotated[str, typer.Option(metavar="ENDPOINT", help="tcp://HOST:PORT of the server.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Own examples, in the format of the task's files; default: its share of a public data set."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="These examples are nobody's secret.")] = False,
    ledger: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the owner's privacy ledgers.")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="Largest budget that the owner allows; for private data 8 unless given.")
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Largest delta; private data of n examples always needs less than 1/n.")
    ] = None,
    clip: Annotated[float | None, typer.Option(help="Largest clip that the owner allows.")] = None,
    noise: Annotated[float, typer.Option(min=0, help="Least noise multiplier that the owner allows.")] = 0.0,
    threat: Annotated[str, typer.Option(help="Weakest threat model that the owner allows.")] = "own-noise",
    model: Annotated[str | None, typer.Option(help="Where this host keeps the model.")] = None,
    root: Annotated[str | None, typer.Option(help="Where this host keeps the task's files.")] = None,
    station: Station = None,
    allow_tx: Annotated[
        bool, typer.Option("--allow-tx", help="Transmit although the station file has no permit: you vouch for it.")
    ] = False,
    keys: Keys = None,
    patience: Annotated[float, typer.Option(min=1, help="Seconds to wait for a server that is away.")] = 3600.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result.")] = False,
) -> None:
    """Take part in a server's run with this device's own data, secret and privacy ledger, which stay in this process.

    What the server asks for is checked against the owner's limits before joining. With --station it sends by a radio of its
    own, the one that the station file has under NAME. When the server goes away the device waits for it; Ctrl-C ends it
    after the round, twice at once.
    """
    if allow_tx and station is None:
        raise InputError("--allow-tx without --station: nothing would be transmitted; leave it out, or name a station")
    from fl.lab.device import DeviceProcess
    from fl.lab.keys import default_folder, load_device
    from fl.lab.owner import Terms
    from fl.stop import Stop

    own = load_device(keys or default_folder(), name)
    terms = Terms(data, public, ledger, epsilon, delta, noise, clip, threat, model, root)
    stop = Stop()
    tell = (lambda line: None) if quiet else say
    with ExitStack() as leaving:
        leaving.enter_context(stop.listening())
        radio = None
        if station is not None:
            from fl.lab.device_radio import DeviceRadio

            radio = leaving.enter_context(DeviceRadio(name, station, allow_tx, tell))
        digest = DeviceProcess(server, own, terms, tell, patience, radio).run(stop)
    say(f"{name}: the run is finished; digest of the weights {digest}")


def _check_station(experiment: Experiment, station: Path) -> None:
    """Raises InputError for what would be refused later, before a folder is made or a radio opened."""
    from fl.station import bench_for
    from radio.station import load_station

    bench_for(experiment, load_station(station), allow_tx=True)


def _free(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
