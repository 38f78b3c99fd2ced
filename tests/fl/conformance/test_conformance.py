"""Every transport carries the same experiment to the same bits and the same charges: one process, Ray, Flower's simulation, and
a lab of processes.  The experiment has erased slots, updates carried on from earlier rounds and several perturbations, and is
interrupted and resumed where a transport can be interrupted from here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fl.config import Experiment
from fl.journal import NAME, read_history
from fl.run import Actors, Execution, execute
from fl.run_folder import RunFolder, create, open_run
from privacy.record_log import read_records

Make = Callable[..., Experiment]
Carry = Callable[[RunFolder], Any]

CARRIED = {
    "privacy.reproducible": True,
    "learning.perturbations": 2,
    "learning.optimiser": "momentum",
    "radio.snr_db": 6.0,  # in two of eight slots nobody's pilots are heard
    "run.seed": 1,
}
WALKED = {"privacy.reproducible": True, "learning.local_steps": 2, "learning.rounds": 2}

ENGINES = [pytest.param(name, marks=pytest.mark.engines) for name in ("ray", "flower")]


def in_process(folder: RunFolder) -> Any:
    return execute(folder, quiet=True)


@pytest.fixture
def carry(request: pytest.FixtureRequest) -> Carry:
    """A run carried on by the transport that the test is about, as far as it goes."""
    if request.param == "ray":
        request.getfixturevalue("ray_here")
        return lambda folder: execute(folder, quiet=True, actors=Actors(2))
    if request.param == "flower":
        from fl.flower.simulation import simulate

        return simulate
    return in_process


@pytest.fixture(scope="module")
def reference(make_experiment: Make, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict], Path]:
    """A run of the changed experiment in one process, not interrupted."""
    done: dict[str, Path] = {}

    def run(changes: dict) -> Path:
        if str(changes) not in done:
            folder = create(tmp_path_factory.mktemp("reference") / "run", make_experiment(changes))
            in_process(folder)
            done[str(changes)] = folder.path
        return done[str(changes)]

    return run


def scalars(run: Path) -> list[dict[str, Any]]:
    """All that the journal says of the rounds."""
    return [r for r in read_records(run / NAME) if r["type"] in ("round", "erased", "burned")]


def charges(run: Path) -> list[tuple[str, int]]:
    return sorted((r["owner"], r["slot"]) for r in read_records(run / "charges.jsonl") for _ in range(r["times"]))


def same(run: Path, reference: Path) -> None:
    ours, theirs = read_history(run), read_history(reference)
    assert (
        ours.stop == theirs.stop and ours.stop is not None and ours.stop["reason"] == "finished"
    )  # its digest is in it
    assert scalars(run) == scalars(reference)
    assert charges(run) == charges(reference)


def test_the_experiment_has_what_it_is_meant_to_have(reference: Callable[[dict], Path]) -> None:
    history = read_history(reference(CARRIED))
    assert history.erased == 2 and any(update.carried for update in history.updates)
    assert len(charges(reference(CARRIED))) >= history.rounds


@pytest.mark.parametrize("carry", ["in process", *ENGINES], indirect=True)
def test_a_run_that_is_interrupted_and_resumed_is_the_same_everywhere(
    carry: Carry,
    make_experiment: Make,
    reference: Callable[[dict], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = reference(CARRIED)
    folder = create(tmp_path / "run", make_experiment(CARRIED))
    with monkeypatch.context() as patched:
        patched.setattr(Execution, "_stopping", lambda self: self.journal.history.rounds >= 3)
        with pytest.raises(KeyboardInterrupt):
            carry(folder)
    assert read_history(folder.path).rounds == 3
    carry(open_run(folder.path))
    same(folder.path, wanted)


def test_a_lab_of_processes_does_the_same(lab: Any, make_experiment: Make, reference: Callable[[dict], Path]) -> None:
    file = lab.folder / "experiment.toml"
    file.write_text(make_experiment(CARRIED).to_toml(), encoding="utf-8")
    server = lab.server(file, "--out", lab.run)
    devices = [lab.device(k) for k in range(3)]
    assert server.wait() == 0, server.printed
    assert [device.wait() for device in devices] == [0, 0, 0]
    same(lab.run, reference(CARRIED))


@pytest.mark.parametrize("carry", ["in process", ENGINES[0]], indirect=True)
def test_local_steps_are_the_same_where_they_are_not_refused(
    carry: Carry, make_experiment: Make, reference: Callable[[dict], Path], tmp_path: Path
) -> None:
    folder = create(tmp_path / "run", make_experiment(WALKED))
    carry(folder)
    same(folder.path, reference(WALKED))
