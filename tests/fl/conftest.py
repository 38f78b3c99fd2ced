"""A tiny OPT of our own, runs of seconds with it, and the command line called in this process or in one that may be killed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.forks import Forks, Process
from bench.lab import Lab
from bench.toy import toy_model
from fl.config import Experiment, validate
from privacy.record_log import read_records

LONG = 12  # rounds of the longer runs of processes
Make = Callable[..., Experiment]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_model(tmp_path_factory.mktemp("tiny-opt"))


def settings(model: Path) -> dict[str, dict[str, Any]]:
    """Three devices, six rounds, half a minute of nothing: the experiment that the tests of runs share."""
    return {
        "model": {"source": str(model)},
        "task": {"examples_per_device": 50, "test_examples": 40},
        "learning": {
            "devices": 3,
            "rounds": 6,
            "batch": 10,
            "perturbations": 1,
            "estimator": "central",
            "optimiser": "sgd",
            "rate": 1e-2,
            "parameters": ["*"],
            "micro_batch": 8,
        },
        "radio": {"window": 512, "pilot_window": 256},
        "privacy": {"epsilon": 0.5},
        "run": {"name": "tiny", "seed": 11, "evaluate_every": 3, "evaluate_examples": 20, "threads": 1},
    }


@pytest.fixture(scope="session")
def make_experiment(tiny_model: Path) -> Make:
    """`make_experiment({"learning.rounds": 3})`: the shared experiment with some settings changed."""

    def make(changes: Mapping[str, Any] | None = None) -> Experiment:
        raw = settings(tiny_model)
        for key, value in (changes or {}).items():
            section, _, name = key.partition(".")
            raw[section][name] = value
        return validate(raw, "test")

    return make


@dataclass(frozen=True)
class Finished:
    path: Path
    summary: dict[str, Any]


@pytest.fixture(scope="session")
def finished_run(make_experiment: Make, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A whole private run over the simulated air; tests read it and do not change it."""
    from fl.run import execute
    from fl.run_folder import create

    folder = create(tmp_path_factory.mktemp("runs") / "tiny", make_experiment())
    return Finished(folder.path, execute(folder, quiet=True))


@pytest.fixture(scope="session")
def ledger_charges() -> Callable[[Path], dict[str, list[int]]]:
    """`ledger_charges(run)`: what each device of a run on public data was charged for, in order."""

    def charges(run: Path) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for file in sorted((run / "ledger").glob("*.jsonl")):
            records = read_records(file)
            found[records[0]["owner"]] = [r["slot"] for r in records[1:]]
        return found

    return charges


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def pairzero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """The command line in this process, from an empty working directory: `pairzero("run", "e.toml")`."""
    from fl.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*words: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["pairzero", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def forks(make_experiment: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Has imported everything once and forks a process for every command."""
    folder = tmp_path_factory.mktemp("forks")
    warm = [folder / f"{rounds}.toml" for rounds in (6, LONG)]
    for file in warm:
        file.write_text(make_experiment({"learning.rounds": int(file.stem)}).to_toml(), encoding="utf-8")
    with Forks(warm) as started:
        yield started


@pytest.fixture
def start(forks: Forks, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start("run", "e.toml")` begins a command in a process of its own, which may be sent signals."""
    started: list[Process] = []

    def begin(*words: str | Path) -> Process:
        started.append(forks.start(words, tmp_path / f"printed-{len(started)}.txt"))
        return started[-1]

    yield begin
    for command in started:
        command.end()


@pytest.fixture
def lab(forks: Forks, tmp_path: Path) -> Iterator[Lab]:
    """`lab.server(...)`, `lab.device(...)`: commands in processes of their own, over real sockets, with keys of their own."""
    made = Lab(forks, tmp_path)
    yield made
    made.close()
