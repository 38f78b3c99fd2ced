"""`pairzero` commands in processes that may be killed, for the price of a fork: the client of `bench/fork_server.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fl.journal import NAME

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120.0  # for whatever is waited for

Prepare = Sequence[
    tuple[str, Mapping[str, Any]]
]  # functions, `module:name`, that the child calls first, with their arguments


class Forks:
    """A process that has imported everything, sized the noise of these experiments and compiled their kernels, and forks."""

    def __init__(self, experiments: Iterable[Path]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        self._server = subprocess.Popen(
            # by its module's name: as a file, its folder would come first, and `calibration` be bench/calibration.py
            [sys.executable, "-m", "bench.fork_server", *map(str, experiments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, **request: Any) -> Any:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(
        self,
        words: Iterable[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        prepare: Prepare = (),
    ) -> Process:
        return Process(self, log, words=list(map(str, words)), environment=environment or {}, prepare=prepare)

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Process:
    """A command that runs."""

    def __init__(self, forks: Forks, log: Path, **request: Any) -> None:
        self._forks, self.log = forks, log
        self.pid = int(forks.ask(log=str(log), **request))
        self.code: int | None = None

    def poll(self, seconds: float = 0.0) -> int | None:
        """Exit code, minus the signal's number if one killed it; None if it is still running after `seconds`."""
        if self.code is None:
            self.code = self._forks.ask(wait=self.pid, seconds=seconds)
        return self.code

    def wait(self, seconds: float = PATIENCE_S) -> int:
        code = self.poll(seconds)
        assert code is not None, f"still running after {seconds:g} s: {self.printed}"
        return code

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def end(self) -> None:
        """Whatever it is doing."""
        if self.code is None:
            self.kill()
            self.wait()

    def until(self, text: str, times: int = 1) -> None:
        """Return when it has printed the text so many times."""
        deadline = time.monotonic() + PATIENCE_S
        while self.printed.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in {self.printed}"
            time.sleep(0.01)

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.is_file() else ""


def until_committed(run: Path, rounds: int, processes: Sequence[Process]) -> None:
    """Return when the journal of a run that these processes carry out has so many rounds."""
    journal = run / NAME
    deadline = time.monotonic() + PATIENCE_S
    while not (journal.is_file() and journal.read_bytes().count(b'"type":"round"') >= rounds):
        assert time.monotonic() < deadline, f"no round {rounds}: {[process.printed for process in processes]}"
        time.sleep(0.002)
