"""A run is a folder: made within two seconds of the start, before any heavy import, and readable by a person throughout."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from fl.config import Experiment, load
from fl.journal import NAME as JOURNAL
from fl.journal import Journal, read_history
from radio.errors import InputError

NOTICE = (
    "NOT PRIVATE: truths that only a simulation knows (sums before noise and before the air), for plots and tests; "
    "none of it leaves a real device. Where data are private, sums before noise are left out"
)
NOTICE_AT_STATION = (
    "NOT PRIVATE: truths that only one process with every device in it knows (sums before noise and before the air), for plots "
    "and tests; none of it leaves a device that runs by itself. Where data are private, sums before noise are left out"
)
STATION, PROFILE = "station.toml", "profile.toml"
DEVICES = "devices.json"  # of a lab: whose place is whose, and how they are doing
LIBRARIES = ("pairzero", "torch", "transformers", "tokenizers", "numpy", "scipy", "numba", "dp-accounting")


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run and its experiment."""

    path: Path
    experiment: Experiment

    @property
    def station(self) -> Path | None:
        """The run's copy of its station file; None for a run on the loopback."""
        file = self.path / STATION
        return file if file.is_file() else None

    @property
    def profile(self) -> Path | None:
        """The run's copy of its calibration; None for a run without."""
        file = self.path / PROFILE
        return file if file.is_file() else None

    @property
    def summary(self) -> dict[str, Any] | None:
        """`summary.json`, or None where there is none that can be read: the journal can make it again."""
        try:
            return json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def write_atomic(path: Path, text: str | Iterable[str]) -> None:
    """Replace a file so that readers and crashes see the old text or the new, never half.  A long text comes in parts."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {problem.strerror}; free some space or choose another --out") from None


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def create(
    path: Path,
    experiment: Experiment,
    fresh: bool = False,
    station: Path | None = None,
    profile: Path | None = None,
) -> RunFolder:
    """Make a new run folder, with a copy of the `station` and the `profile` file.  Raises InputError if `path` holds something
    else, or a run unless `fresh`.

    `fresh` replaces a run that is over, or was left unfinished, by a new one; a folder that is not a run is never touched.
    """
    # Read before anything is replaced: with --fresh it may be the copy in the run that goes.
    placed = {
        name: file.read_text(encoding="utf-8")
        for name, file in ((STATION, station), (PROFILE, profile and profile_file(profile)))
        if file is not None
    }
    if path.is_dir() and any(path.iterdir()):
        half_made = {"experiment.toml", "versions.json", "seeds.json", "diagnostics.jsonl", STATION, PROFILE}
        left = {entry.name.removesuffix(".partial") for entry in path.iterdir()}
        if not is_run(path) and not left <= half_made:
            raise InputError(f"--out {path} is not empty and not a run folder; choose another folder")
        if is_run(path) and not fresh:
            raise InputError(
                f"{path} already holds a run; continue it with --resume {path}, replace it with --fresh, "
                "or name another --out"
            )
        if is_run(path):
            remove(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, text in placed.items():
            write_atomic(path / name, text)
        write_atomic(path / "experiment.toml", experiment.to_toml())
        write_json(path / "versions.json", _versions())
        write_json(path / "seeds.json", _seeds(experiment))
        (path / "diagnostics.jsonl").write_text(
            json.dumps({"notice": NOTICE if station is None else NOTICE_AT_STATION}) + "\n"
        )
    except OSError as problem:
        raise InputError(f"cannot create the run folder {path}: {problem.strerror}; choose another --out") from None
    Journal(
        path, {"run_id": secrets.token_hex(8), "name": experiment.run.name, "experiment": experiment.digest()}
    ).close()
    return RunFolder(path, experiment)


def open_run(path: Path) -> RunFolder:
    """Open an existing run folder.  Raises InputError if it is none, or its experiment was edited since."""
    history = read_history(path)
    experiment = load(path / "experiment.toml")
    if experiment.digest() != history.header["experiment"]:
        raise InputError(
            f"{path / 'experiment.toml'} is not the experiment this run was started with; a run keeps its settings: "
            "restore the file, or start a new run with --out"
        )
    return RunFolder(path, experiment)


def move_to(folder: RunFolder, station: Path) -> None:
    """Let a run on a station go on at another one, or at this one as it is now.  Raises InputError for a run on the loopback,
    and if a process is writing to it."""
    if folder.station is None:
        raise InputError(
            f"{folder.path} began on the simulated air, so it cannot go on at a station; resume it without --station, or start "
            "a new run with --out"
        )
    text = station.read_text(encoding="utf-8")
    journal = Journal(folder.path)
    try:
        write_atomic(folder.path / STATION, text)
    finally:
        journal.close()


def recalibrate(folder: RunFolder, profile: Path) -> None:
    """Let a run go on with another profile.  Raises InputError if a process is writing to it."""
    text = profile_file(profile).read_text(encoding="utf-8")
    journal = Journal(folder.path)
    try:
        write_atomic(folder.path / PROFILE, text)
    finally:
        journal.close()


def profile_file(profile: Path) -> Path:
    """Of a session's folder, or the file itself."""
    return profile / PROFILE if profile.is_dir() else profile


def remove(path: Path) -> None:
    """Delete a run.  Raises InputError if a process is writing to it: it is not pulled away from under one."""
    journal = Journal(path)
    try:
        shutil.rmtree(path)
    finally:
        journal.close()


def discard_unstarted(folder: RunFolder) -> None:
    """Remove a run that could not start (no model, no data, no budget): there is nothing in it to keep."""
    if is_run(folder.path) and read_history(folder.path).model is None:
        remove(folder.path)


def is_run(path: Path) -> bool:
    return (path / JOURNAL).is_file()


def version() -> str:
    try:
        return metadata.version("pairzero")
    except metadata.PackageNotFoundError:
        return "source tree"


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    found["platform"] = platform.platform()
    found["cpu"] = _cpu()
    found["cores"] = os.cpu_count()
    return found


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _seeds(experiment: Experiment) -> dict[str, Any]:
    return {
        "experiment": experiment.run.seed,
        "public": "perturbations, data selection, partition and the simulated air derive from it by name",
        "secret": (
            "derived from the seed (privacy.reproducible): THE PRIVACY GUARANTEE IS VOID"
            if experiment.privacy.reproducible and experiment.privacy.enabled
            else "batches and noise come from the operating system and are recorded nowhere"
            if experiment.privacy.enabled
            else "privacy is off: batches derive from the seed, there is no noise"
        ),
    }
