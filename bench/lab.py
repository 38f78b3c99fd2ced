"""A lab in a folder: keys, a server and devices as processes, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.forks import Forks, Prepare, Process, until_committed
from fl.lab import keys
from fl.lab.fault_proxy import FaultProxy
from privacy.record_log import read_records


class Lab:
    """A folder with the keys of `devices` devices; processes are started in it, and ended by `close`."""

    def __init__(self, forks: Forks, folder: Path, devices: int = 3) -> None:
        self._forks, self.folder, self.run = forks, folder, folder / "run"
        self.keys = folder / "keys"
        keys.init(self.keys)
        for k in range(devices):
            keys.enroll(self.keys, f"device-{k}")
        self.processes: list[Process] = []
        self.endpoint = ""
        self.proxy: FaultProxy | None = None

    def __call__(self, *words: str | Path, prepare: Prepare = ()) -> Process:
        log = self.folder / f"printed-{len(self.processes)}.txt"
        home: Mapping[str, str] = {"XDG_DATA_HOME": str(self.folder / "data")}
        self.processes.append(self._forks.start([*words, "--keys", self.keys], log, home, prepare))
        return self.processes[-1]

    def server(self, *words: str | Path, port: str = "*", prepare: Prepare = ()) -> Process:
        """Started, and listening."""
        process = self("server", *words, "--listen", f"tcp://127.0.0.1:{port}", prepare=prepare)
        process.until("listening at ")
        self.endpoint = process.printed.partition("listening at ")[2].split()[0]
        return process

    def device(self, k: int, *words: str | Path, prepare: Prepare = ()) -> Process:
        return self("device", f"device-{k}", "--server", self.endpoint, *words, prepare=prepare)

    def slow_link(self, delay_s: float) -> FaultProxy:
        """A slow way to the server, for devices that are started from now on: a run over it takes as long as is needed."""
        self.proxy = FaultProxy(int(self.port), delay_s)
        self.endpoint = self.proxy.endpoint
        return self.proxy

    @property
    def port(self) -> str:
        return self.endpoint.rpartition(":")[2]

    def until(self, rounds: int) -> None:
        """Return when so many rounds are committed."""
        until_committed(self.run, rounds, self.processes)

    def ledgers(self) -> dict[str, list[int]]:
        """Device -> slots it was charged for, in order."""
        found = [read_records(file) for file in (self.folder / "data").rglob("*.jsonl")]
        return {records[0]["owner"]: [r["slot"] for r in records[1:]] for records in found}

    def close(self) -> None:
        for process in self.processes:
            process.end()
        if self.proxy is not None:
            self.proxy.close()
