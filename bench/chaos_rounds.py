"""What a round of a lab costs besides measuring, updating and the air, and what many rounds leave behind in its processes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.forks import Forks, Process
from bench.lab import Lab
from fl.journal import NAME

SAMPLE_S = 0.5
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


def hollow(synced: bool) -> None:
    """Called in a process of a lab: measuring and updating take no time, and neither does a device on the air; nor, unless
    `synced`, does the disk."""
    import privacy.record_log
    from fl.device import Device
    from fl.lab.air_service import AirLink
    from fl.replica import Replica

    def nothing(self: Any, examples: Any, seed: int, perturbations: int, mu: float) -> NDArray[np.float64]:
        return np.zeros((0, perturbations))

    Device.batch = lambda self, release: []  # type: ignore[method-assign]
    Replica.projections = nothing  # type: ignore[assignment, method-assign]
    Replica.update = Replica.replay = lambda self, moves: None  # type: ignore[assignment, method-assign]
    AirLink.transmit = lambda self, slot, values, propose, window_s: True  # type: ignore[method-assign]
    if not synced:
        privacy.record_log._sync = lambda file: None


def note_seconds(file: str) -> None:
    """Called in the server's process: the seconds from each round's beginning to the next, but for those of the air."""
    import fl.rounds
    from fl.lab.air_service import LabAir

    aired, began = 0.0, []
    ask, run_round, train = LabAir._ask, fl.rounds.run_round, fl.rounds.train

    def timed(*words: Any) -> Any:
        nonlocal aired
        start = time.perf_counter()
        answer = ask(*words)
        aired += time.perf_counter() - start
        return answer

    def noted(*words: Any) -> Any:
        began.append(time.perf_counter() - aired)
        return run_round(*words)

    def whole(*words: Any) -> None:
        train(*words)
        np.savetxt(file, np.diff(began))

    LabAir._ask = timed  # type: ignore[method-assign, assignment]
    fl.rounds.run_round, fl.rounds.train = noted, whole


def overheads_s(forks: Forks, experiment: Path, folder: Path, devices: int, synced: bool = True) -> NDArray[np.float64]:
    """Seconds of every round of the experiment but the last, (rounds - 1,); `synced`: with the disk's."""
    folder.mkdir()
    lab, file = Lab(forks, folder, devices), folder / "seconds.txt"
    inside = [("bench.chaos_rounds:hollow", {"synced": synced})]
    try:
        server = lab.server(
            experiment,
            "--out",
            lab.run,
            prepare=[*inside, ("bench.chaos_rounds:note_seconds", {"file": str(file)})],
        )
        for process in (*(lab.device(k, prepare=inside) for k in range(devices)), server):
            assert process.wait() == 0, process.printed
    finally:
        lab.close()
    return np.loadtxt(file)


@dataclass(frozen=True)
class Growth:
    """Of one process from its second tenth of the rounds to its last.

    memory_mib   resident
    descriptors  open ones
    """

    process: str
    rounds: int
    memory_mib: float
    descriptors: int


def alone(forks: Forks, experiment: Path, folder: Path) -> list[Growth]:
    """All devices in one process."""
    folder.mkdir()
    run = folder / "run"
    process = forks.start(["run", experiment, "--out", run, "--quiet"], folder / "printed.txt")
    try:
        return _watched({"one process": process}, run)
    finally:
        process.end()


def together(forks: Forks, experiment: Path, folder: Path, devices: int) -> list[Growth]:
    """A process for each device, one for the server."""
    folder.mkdir()
    lab = Lab(forks, folder, devices)
    try:
        server = lab.server(experiment, "--out", lab.run)
        members = {f"device-{k}": lab.device(k) for k in range(devices)}
        return _watched({"server": server, **members}, lab.run)
    finally:
        lab.close()


def _watched(processes: Mapping[str, Process], run: Path) -> list[Growth]:
    """Wait for the processes to end, and look at them meanwhile."""
    samples: dict[str, list[tuple[int, float, int]]] = {name: [] for name in processes}
    rounds, offset = 0, 0
    while any(process.poll() is None for process in processes.values()):
        time.sleep(SAMPLE_S)
        if (run / NAME).is_file():
            with (run / NAME).open("rb") as file:
                file.seek(offset)
                new = file.read()
            complete = new[: new.rfind(b"\n") + 1]
            rounds, offset = rounds + complete.count(b'"type":"round"'), offset + len(complete)
        training = rounds and b'"final":true' not in complete
        for name, process in processes.items():
            if training and process.code is None and (seen := _look(process.pid)) is not None:
                samples[name].append((rounds, *seen))
    codes = {name: process.code for name, process in processes.items()}
    assert not any(codes.values()), [process.printed for process in processes.values()]
    return [_growth(name, np.array(seen, np.float64)) for name, seen in samples.items()]


def _growth(name: str, seen: NDArray[np.float64]) -> Growth:
    rounds, memory, descriptors = seen.T
    total = rounds[-1]
    early, late = (rounds > 0.1 * total) & (rounds <= 0.2 * total), rounds > 0.9 * total
    grown = [float(np.median(values[late]) - np.median(values[early])) for values in (memory, descriptors)]
    return Growth(name, int(total), grown[0], round(grown[1]))


def _look(process: int) -> tuple[float, int] | None:
    """Resident memory (MiB) and descriptors; None once it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * PAGE_MIB, len(os.listdir(f"/proc/{process}/fd"))
    except (OSError, IndexError):
        return None
