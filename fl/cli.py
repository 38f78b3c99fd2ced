"""The command line.  Exit codes: 0 done; 2 input, hardware or budget; 3 stopped early; 4 `--require` not met; 130 interrupted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fl.calibrate_command import calibrate_app
from fl.emulate_command import emulate
from fl.keys_command import keys_app
from fl.lab_command import device, server
from fl.placement import check_map
from fl.plan_command import plan
from fl.privacy_command import privacy_app
from fl.radio_command import radio_app
from fl.reproduce_command import reproduce
from fl.shipped import default_experiment
from fl.status_command import status
from fl.sweep_command import sweep
from fl.terminal import say
from fl.watch_command import watch
from radio.errors import InputError, PairzeroError

if TYPE_CHECKING:
    from fl.config import Experiment
    from fl.run import Actors
    from fl.run_folder import RunFolder

app = typer.Typer(
    name="pairzero",
    help="Fine-tune one OPT language model on the private data of many devices, over the air.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(radio_app, name="radio")
app.add_typer(calibrate_app, name="calibrate")
app.command()(plan)
app.command()(reproduce)
app.command()(emulate)
app.command()(watch)
app.command()(status)
app.command()(sweep)
app.command()(server)
app.command()(device)
app.add_typer(privacy_app, name="privacy")
app.add_typer(keys_app, name="keys")

Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")]

Station = Annotated[
    Path | None,
    typer.Option("--station", metavar="FILE", help="Station file: use its radios instead of the simulated air."),
]
AllowTx = Annotated[
    bool,
    typer.Option(
        "--allow-tx", help="You may transmit as the station file says, which has no \\[permit], and vouch for it."
    ),
]


Ray = Annotated[
    int | None,
    typer.Option("--ray", metavar="ACTORS", min=1, help="Spread the devices over so many Ray actors (extra: ray)."),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", metavar="ADDRESS", help="Of the Ray to join; default: one on this machine."),
]


Offload = Annotated[
    Path | None,
    typer.Option("--offload", metavar="DIR", help="Keep the weights in a mapped scratch file there, not in memory."),
]


DeviceMap = Annotated[
    str | None,
    typer.Option("--device-map", metavar="MAP", help="Where the weights go: cpu, cuda, cuda:N, auto or balanced."),
]


@app.command()
def run(
    experiment: Annotated[Path | None, typer.Argument(help="Experiment file; default: examples/demo.toml.")] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/NAME, numbered if taken.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue this run, or start it if there is none.")] = None,
    require: Annotated[
        list[str] | None, typer.Option(metavar="KEY>=NUMBER", help="Exit with 4 unless the summary meets it.")
    ] = None,
    station: Station = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile", metavar="PROFILE", help="Calibration of this air (`pairzero calibrate`): session or file."
        ),
    ] = None,
    allow_tx: AllowTx = False,
    ray: Ray = None,
    ray_address: RayAddress = None,
    offload: Offload = None,
    device_map: DeviceMap = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace the run that --out already holds.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result.")] = False,
) -> None:
    """Run an experiment and write its folder, summary and report: on the simulated air (loopback), or with --station over
    ADALM-Plutos, real or virtual."""
    from fl import run_folder
    from fl.config import load
    from fl.requirement import check, parse
    from fl.run import Actors

    requirements = [parse(text) for text in require or []]
    if ray is None and ray_address is not None:
        raise InputError("--ray-address without --ray: say how many actors, for example --ray 2")
    if ray is not None and offload is not None:
        raise InputError(
            "--offload is for a run in one process; leave out --ray, whose actors each have a replica in memory"
        )
    if device_map is not None:
        check_map(device_map)
        if ray is not None:
            raise InputError(
                "--device-map is for a run in one process; leave out --ray, whose actors each have a replica in memory"
            )
        if offload is not None:
            raise InputError(
                "--device-map puts the weights on devices and --offload in a mapped file; leave one of them out"
            )
    actors = None if ray is None else Actors(ray, ray_address)
    created = False
    if resume is not None and out is not None:
        raise InputError("--resume names the run folder already; leave out --out")
    if resume is not None and run_folder.is_run(resume):
        if experiment is not None or overrides:
            raise InputError(
                f"{resume} keeps the experiment it was started with; resume it without an experiment file and --set"
            )
        folder = run_folder.open_run(resume)
        _check_allowed(allow_tx, station or folder.station)
        _check_places(folder.experiment, station or folder.station, allow_tx, profile or folder.profile)
        if station is not None:
            run_folder.move_to(folder, station)
        if profile is not None:
            run_folder.recalibrate(folder, profile)
        say(f"resuming {folder.path}")
    else:
        settings = load(experiment or default_experiment(), overrides or [], say)
        _check_allowed(allow_tx, station)
        _check_places(settings, station, allow_tx, profile)
        path = resume or out or _free(Path("runs") / settings.run.name)
        if resume is not None:
            say(f"{resume} holds no run yet: starting one")
        folder = run_folder.create(path, settings, fresh, station, profile)
        say(f"run folder {folder.path}")
        created = True
    try:
        summary = _finish(folder, quiet, allow_tx, actors, offload, device_map)
    except InputError:
        if created:
            run_folder.discard_unstarted(folder)
        raise
    check(requirements, summary)


def _check_allowed(allow_tx: bool, station: Path | None) -> None:
    if allow_tx and station is None:
        raise InputError("--allow-tx without --station: nothing would be transmitted; leave it out, or name a station")


def _check_places(experiment: Experiment, station: Path | None, allow_tx: bool, profile: Path | None) -> None:
    """Raises InputError for what would be refused later, before a folder is made or a radio opened."""
    if station is not None:
        from fl.station import bench_for
        from radio.station import load_station

        bench_for(experiment, load_station(station), allow_tx=allow_tx, profile=profile)
    elif profile is not None:
        from fl.calibrated import profile_for

        profile_for(experiment, profile, None)


def _finish(
    folder: RunFolder,
    quiet: bool,
    allow_tx: bool,
    actors: Actors | None,
    offload: Path | None,
    device_map: str | None,
) -> dict[str, Any]:
    from fl.run import execute, finished_summary
    from fl.summary import describe

    summary = finished_summary(folder)
    if summary is not None:
        say("this run is finished")
    else:
        _explain(folder, quiet, allow_tx)
        try:
            summary = execute(folder, quiet, allow_tx=allow_tx, actors=actors, offload=offload, device_map=device_map)
        except KeyboardInterrupt:
            say(f"stopped; nothing is lost. Continue with: pairzero run --resume {folder.path}")
            raise
    for line in describe(summary):
        say(line)
    say(f"privacy statement: {folder.path / 'statement.txt'}")
    say(f"report: {folder.path / 'report.html'}")
    return summary


def _explain(folder: RunFolder, quiet: bool, allow_tx: bool) -> None:
    if quiet:
        return
    experiment = folder.experiment
    learning, privacy = experiment.learning, experiment.privacy
    air, besides = experiment.radio.described, []
    file = None
    if folder.station is not None:
        from fl.station import bench_for, not_used
        from radio.station import load_station

        bench = bench_for(experiment, load_station(folder.station), allow_tx=allow_tx, profile=folder.profile)
        air = bench.described(experiment)
        file = load_station(folder.station).model_copy(update={"device": bench.file.device})
        besides = [not_used(experiment)]
    if folder.profile is not None:
        from calibration.profile import load_profile
        from fl.calibrated import about

        besides += about(experiment, load_profile(folder.profile), file)
    say(
        f"{learning.devices} devices, {learning.rounds} rounds of {learning.perturbations} perturbation(s)"
        + (f" in each of {learning.local_steps} local steps, " if learning.local_steps > 1 else ", ")
        + f"task {experiment.task.name}, model {experiment.model.source}, "
        + air
    )
    for line in besides:
        say(line)
    if not privacy.enabled:
        say("privacy is OFF: batches are not secret and no noise is added")
    elif privacy.reproducible:
        say("privacy.reproducible: secrets derive from the seed, THE PRIVACY GUARANTEE IS VOID (testing only)")
    else:
        say(
            f"privacy: epsilon {privacy.epsilon:g} at delta {privacy.delta:g} for every {privacy.unit}, "
            f"against {privacy.threat}; clip {privacy.clip:g} and learning rate are assumed to be chosen without the private data"
        )


def _free(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that does not exist."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


@app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, finished or not.")]) -> None:
    """Write (again) the self-contained report.html of a run."""
    from fl.reporting.page import write_report

    say(f"report: {write_report(folder)}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="New Hugging Face folder.")],
) -> None:
    """Replay a run's journal and write the fine-tuned model as a Hugging Face folder."""
    from fl.export import export as write

    write(folder, out)
    say(f"model: {out} (load it with transformers, or: pairzero evaluate {out} --task NAME)")


@app.command()
def evaluate(
    source: Annotated[str, typer.Argument(metavar="RUN|DIR", help="Run folder, model folder, hub id, or `embedded`.")],
    task: Annotated[str | None, typer.Option(help="Task; default: the run's own.")] = None,
    root: Annotated[str | None, typer.Option(help="Folder with the task's files.")] = None,
    seed: Annotated[int, typer.Option(help="Public seed of a generated task.")] = 1,
) -> None:
    """Accuracy of a model on a task's held-out data, always with the chance floor."""
    from fl.scoring import score_model, score_run
    from fl.tasks.registry import TASKS

    path = Path(source)
    if (path / "journal.jsonl").is_file():
        result = score_run(path, task, root)
    else:
        if task is None:
            raise InputError(f"a model folder has no task of its own: name one with --task ({', '.join(TASKS)})")
        result = score_model(source, task, root, seed)
    low, high = result.interval
    say(
        f"{result.task}: accuracy {result.score.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}, "
        f"{result.score.examples} examples), loss {result.score.loss:.4f}, chance floor {result.floor:.1%}"
    )


@app.command()
def pretrain(
    corpora: Annotated[Path, typer.Option(help="Folder with NAME.train.txt[.xz] and NAME.valid.txt[.xz].")],
    out: Annotated[Path, typer.Option(help="Hugging Face folder to write; also keeps the state to resume from.")],
    tokens: Annotated[int, typer.Option(min=4096, help="Tokens to train on.")] = 30_000_000,
    width: Annotated[int, typer.Option(min=16)] = 256,
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 4,
    vocabulary: Annotated[int, typer.Option(min=300, max=65536)] = 8192,
    batch: Annotated[int, typer.Option(min=1, help="Sequences a step.")] = 32,
    sequence: Annotated[int, typer.Option(min=8, help="Tokens a sequence.")] = 128,
    rate: Annotated[float, typer.Option(min=1e-6, help="Peak learning rate.")] = 6e-3,
    mixture: Annotated[str, typer.Option(help="Share of each corpus.")] = "imdb=0.8,wikipedia=0.12,books=0.08",
    seed: Annotated[int, typer.Option(min=0)] = 2604,
) -> None:
    """Pretrain a small OPT from raw text (the recipe of the embedded model).  Interrupt and call again to resume."""
    from fl.pretrain_command import run_pretraining

    run_pretraining(
        corpora, out, mixture, tokens=tokens, width=width, layers=layers, heads=heads, vocabulary=vocabulary,
        batch=batch, sequence=sequence, rate=rate, seed=seed,
    )  # fmt: skip


def main() -> None:
    """Entry point: our errors become one message and their exit code, never a traceback."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # OpenMP threads that spin while they wait bring a shared machine to a crawl: two runs on two cores were ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app()
    except PairzeroError as error:
        print(f"pairzero: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
