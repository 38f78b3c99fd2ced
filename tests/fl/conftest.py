"""A tiny OPT of our own, runs of seconds with it, and the command line called in this process or in one that may be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fl.config import Experiment, validate
from fl.journal import NAME
from privacy.record_log import read_records

ROOT = Path(__file__).parents[2]
Make = Callable[..., Experiment]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: OPT of width 32 with two layers and a byte-level BPE of 600 tokens, fresh weights."""
    from fl.corpus import train_tokenizer
    from fl.pretrain import Recipe, build
    from fl.tasks.registry import load_task

    task = load_task("reviews", seed=5, devices=1, train_examples=300)
    tokenizer = train_tokenizer((e.text + option for e in task.train for option in task.options), 600)
    folder = tmp_path_factory.mktemp("tiny-opt")
    build(Recipe(width=32, layers=2, heads=2, positions=128, vocabulary=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def settings(model: Path) -> dict[str, dict[str, Any]]:
    """Three devices, six rounds, half a minute of nothing: the experiment that the tests of runs share."""
    return {
        "model": {"source": str(model)},
        "task": {"examples_per_device": 50, "test_examples": 40},
        "learning": {"devices": 3, "rounds": 6, "batch": 10, "parameters": ["*"], "micro_batch": 8},
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


class Command:
    """A `pairzero` command in a process of its own, which may be sent signals."""

    def __init__(self, server: subprocess.Popen[str], log: Path, words: tuple[str | Path, ...]) -> None:
        self._server, self._log = server, log
        assert server.stdin is not None
        server.stdin.write(json.dumps({"words": list(map(str, words)), "log": str(log)}) + "\n")
        server.stdin.flush()
        self.pid = self._answer()
        self.code: int | None = None

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Exit code; minus the signal's number if one killed it."""
        if self.code is None:
            self.code = self._answer()
            self._server.stdin.write("\n")  # type: ignore[union-attr]
            self._server.stdin.flush()  # type: ignore[union-attr]
        return self.code

    def until(self, run: Path, rounds: int) -> None:
        """Return when the run that this command carries out has committed so many rounds."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if (run / NAME).is_file() and (run / NAME).read_bytes().count(b'"type":"round"') >= rounds:
                return
            time.sleep(0.002)
        raise AssertionError(f"{run} did not get to round {rounds}: {self.printed}")

    @property
    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def command_server(make_experiment: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """`command_server.py`: has imported everything once and forks a process for every command."""
    warm = tmp_path_factory.mktemp("server") / "experiment.toml"
    warm.write_text(make_experiment().to_toml(), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("command_server.py")), str(warm)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        yield server
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture
def start(command_server: subprocess.Popen[str], tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """`start("run", "e.toml")` begins a command in another process; one at a time."""
    started: list[Command] = []

    def begin(*words: str | Path) -> Command:
        command = Command(command_server, tmp_path / f"printed-{len(started)}.txt", words)
        started.append(command)
        return command

    yield begin
    for command in started:
        if command.code is None:
            command.signal(9)
            command.wait()
