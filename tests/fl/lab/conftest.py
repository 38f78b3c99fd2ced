"""`lab("server", ...)`, `lab("device", ...)`: commands in processes of their own, over real sockets, with keys of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fl.journal import NAME
from fl.lab import keys
from fl.lab.fault_proxy import FaultProxy

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120.0  # for whatever a test waits for
LONG = 12  # rounds of the longer runs


class Process:
    """A command that runs."""

    def __init__(self, ask: Callable[..., Any], log: Path, words: list[str], environment: dict[str, str]) -> None:
        self._ask, self.log = ask, log
        self.pid = int(ask(words=words, log=str(log), environment=environment))
        self.code: int | None = None

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Exit code; minus the signal's number if one killed it."""
        if self.code is None:
            self.code = self._ask(wait=self.pid, seconds=seconds)
        assert self.code is not None, f"still running after {seconds:g} s: {self.printed}"
        return self.code

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def until(self, text: str, times: int = 1) -> None:
        """Return when it has printed the text so many times."""
        deadline = time.monotonic() + PATIENCE_S
        while self.printed.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in {self.printed}"
            time.sleep(0.01)

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.is_file() else ""


class Lab:
    """A folder with keys of three devices, and the processes started in it."""

    def __init__(self, ask: Callable[..., Any], folder: Path) -> None:
        self._ask, self.folder, self.run = ask, folder, folder / "run"
        self.keys = folder / "keys"
        keys.init(self.keys)
        for k in range(3):
            keys.enroll(self.keys, f"device-{k}")
        self.processes: list[Process] = []
        self.endpoint = ""
        self.proxy: FaultProxy | None = None

    def __call__(self, *words: str | Path) -> Process:
        log = self.folder / f"printed-{len(self.processes)}.txt"
        home = {"XDG_DATA_HOME": str(self.folder / "data")}
        process = Process(self._ask, log, [*map(str, words), "--keys", str(self.keys)], home)
        self.processes.append(process)
        return process

    def server(self, *words: str | Path, port: str = "*") -> Process:
        process = self("server", *words, "--listen", f"tcp://127.0.0.1:{port}")
        process.until("listening at ")
        self.endpoint = process.printed.partition("listening at ")[2].split()[0]
        return process

    def slow_link(self, delay_s: float) -> FaultProxy:
        """A slow way to the server, for devices that are started from now on: a run over it takes as long as a test needs."""
        self.proxy = FaultProxy(int(self.port), delay_s)
        self.endpoint = self.proxy.endpoint
        return self.proxy

    @property
    def port(self) -> str:
        return self.endpoint.rpartition(":")[2]

    def device(self, k: int, *words: str | Path) -> Process:
        return self("device", f"device-{k}", "--server", self.endpoint, *words)

    def until(self, rounds: int) -> None:
        """Return when so many rounds are committed."""
        deadline = time.monotonic() + PATIENCE_S
        journal = self.run / NAME
        while not (journal.is_file() and journal.read_bytes().count(b'"type":"round"') >= rounds):
            printed = [p.printed for p in self.processes]
            assert time.monotonic() < deadline, f"no round {rounds}: {printed}"
            time.sleep(0.005)


@pytest.fixture(scope="session")
def ask(make_experiment: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """A request to `fork_server.py` and its answer."""
    folder = tmp_path_factory.mktemp("forks")
    warm = [folder / f"{rounds}.toml" for rounds in (6, LONG)]
    for file in warm:
        file.write_text(make_experiment({"learning.rounds": int(file.stem)}).to_toml(), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py")), *map(str, warm)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        assert server.stdin is not None and server.stdout is not None

        def send(**request: Any) -> Any:
            server.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            server.stdin.flush()  # type: ignore[union-attr]
            return json.loads(server.stdout.readline())  # type: ignore[union-attr]

        yield send
        server.stdin.close()


@pytest.fixture
def lab(ask: Callable[..., Any], tmp_path: Path) -> Iterator[Lab]:
    made = Lab(ask, tmp_path)
    yield made
    for process in made.processes:
        if process.code is None:
            process.kill()
            process.wait()
    if made.proxy is not None:
        made.proxy.close()
