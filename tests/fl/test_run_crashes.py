"""A run killed at any moment loses no committed round and no charge, and a reproducible one ends with the same bits."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from bench.forks import until_committed
from fl.device import Device
from fl.diagnostics import Diagnostics
from fl.export import replay_run
from fl.journal import NAME, Journal, read_history
from fl.replica import Replica
from fl.run import execute, finished_summary
from fl.run_folder import RunFolder, create
from fl.transport import InProcess
from privacy.ledger import Ledger
from privacy.record_log import read_records

ROUNDS = 24


def scalars(run: Path) -> list[tuple]:
    """Everything that decided the weights."""
    return [
        tuple(sorted((k, str(v)) for k, v in r.items()))
        for r in read_records(run / NAME)
        if r["type"] in ("round", "erased")
    ]


def slots(run: Path, *types: str) -> set[int]:
    """Slots that the journal has records of these types of."""
    return {r["slot"] for r in read_records(run / NAME) if r["type"] in types}


def test_a_reproducible_run_killed_again_and_again_ends_bit_identical(make_experiment, start, tmp_path, ledger_charges):
    experiment = make_experiment({"privacy.reproducible": True, "learning.rounds": ROUNDS, "learning.perturbations": 2})
    file = tmp_path / "experiment.toml"
    file.write_text(experiment.to_toml())
    whole = start("run", file, "--out", tmp_path / "whole", "--quiet")
    assert whole.wait() == 0, whole.printed
    assert "GUARANTEE IS VOID" in whole.printed
    run = tmp_path / "parts"
    moments = random.Random(5)
    kills = 0
    for rounds in (0, 0, 7, 8, 19):
        command = start("run", file, "--resume", run) if not (run / NAME).exists() else start("run", "--resume", run)
        until_committed(run, rounds, [command])
        time.sleep(moments.uniform(0, 0.05))
        command.kill(signal.SIGKILL)
        kills += command.wait() == -signal.SIGKILL
    assert kills >= 4
    last = start("run", "--resume", run)
    assert last.wait() == 0, last.printed
    ours, theirs = (json.loads((p / "summary.json").read_text()) for p in (run, tmp_path / "whole"))
    assert ours["params_digest"] == theirs["params_digest"]
    assert ours["resumed"] >= 2
    assert scalars(run) == scalars(tmp_path / "whole")
    assert ledger_charges(run) == ledger_charges(tmp_path / "whole")
    for key in ("accuracy", "loss", "epsilon", "slots", "zero_shot_accuracy"):
        assert ours[key] == theirs[key], key


def test_a_killed_private_run_loses_no_round_and_refunds_no_charge(make_experiment, start, tmp_path, ledger_charges):
    experiment = make_experiment({"learning.rounds": ROUNDS})
    run, file = tmp_path / "run", tmp_path / "experiment.toml"
    file.write_text(experiment.to_toml())
    moments = random.Random(6)
    committed: list[tuple] = []
    charged: dict[str, list[int]] = {}
    for rounds in (2, 9, 16):
        command = start("run", file, "--out", run) if rounds == 2 else start("run", "--resume", run)
        until_committed(run, rounds, [command])
        time.sleep(moments.uniform(0, 0.03))
        command.kill(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        now = scalars(run)
        assert now[: len(committed)] == committed
        committed = now
        # nothing is refunded, and every committed slot has been paid for
        paid = ledger_charges(run)
        assert all(paid[owner][: len(before)] == before for owner, before in charged.items())
        charged = paid
    last = start("run", "--resume", run)
    assert last.wait() == 0, last.printed
    history, summary = read_history(run), json.loads((run / "summary.json").read_text())
    assert scalars(run)[: len(committed)] == committed
    assert summary["rounds"] == ROUNDS
    charged = ledger_charges(run)
    closed, burned = slots(run, "round", "erased"), slots(run, "burned")
    every = {slot for paid in charged.values() for slot in paid}
    assert not burned & closed
    assert burned == every - closed
    assert every <= history.slots == set(range(len(history.slots)))
    for paid in charged.values():
        assert len(paid) == len(set(paid))  # no slot is transmitted twice
    assert (summary["burned"], summary["resumed"]) == (len(burned), 3)
    assert summary["epsilon"] <= summary["epsilon_target"]
    assert replay_run(run).digest() == summary["params_digest"]


class Crash(BaseException):
    """The process is gone at this point."""


def crash(folder: RunFolder, owner: type, name: str, call: int, after: bool) -> None:
    """Run until the `call`-th call of a method and die there, before it does anything or when it has done everything."""
    real, count = getattr(owner, name), 0

    def dying(*args, **options):
        nonlocal count
        count += 1
        if count == call and not after:
            raise Crash
        result = real(*args, **options)
        if count == call:
            raise Crash
        return result

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        patch.setattr(owner, name, dying)
        execute(folder, quiet=True)


@pytest.mark.parametrize("reproducible", [True, False])
def test_a_crash_at_every_seam_of_a_round_is_mended(make_experiment, tmp_path, reproducible):
    experiment = make_experiment({"privacy.reproducible": reproducible})
    folder = create(tmp_path / "run", experiment)
    seams = [
        (Journal, "model", 1, False), (Journal, "evaluation", 1, False),
        (InProcess, "collect", 1, False), (Ledger, "charge", 1, False), (Ledger, "charge", 1, True),
        (Device, "payload", 2, True), (InProcess, "collect", 1, True), (Journal, "commit", 1, True),
        (Diagnostics, "write", 1, False), (Journal, "resume", 1, True), (Journal, "stop", 1, False),
    ]  # fmt: skip
    for owner, name, call, after in seams:
        crash(folder, owner, name, call, after)
        assert finished_summary(folder) is None
    summary = execute(folder, quiet=True)
    assert finished_summary(folder) == summary
    assert summary["rounds"] == 6
    assert summary["burned"] == (0 if reproducible else 3)
    assert replay_run(folder.path).digest() == summary["params_digest"]
    if reproducible:
        whole = create(tmp_path / "whole", experiment)
        assert execute(whole, quiet=True)["params_digest"] == summary["params_digest"]
        rounds = [[s for s in scalars(f.path) if ("type", "round") in s] for f in (folder, whole)]
        assert rounds[0] == rounds[1]


@pytest.mark.parametrize("reproducible", [True, False])
def test_crashes_between_local_steps_are_mended(make_experiment, tmp_path, ledger_charges, reproducible):
    changes = {
        "privacy.reproducible": reproducible, "learning.local_steps": 2, "learning.optimiser": "momentum",
        "learning.payload": "sign", "learning.rate": 1e-3,
    }  # fmt: skip
    experiment = make_experiment(changes)
    folder = create(tmp_path / "run", experiment)
    seams = [
        (Ledger, "charge", 2, True), (Device, "payload", 3, True), (InProcess, "open", 2, True),
        (InProcess, "collect", 1, True), (Journal, "commit", 1, True), (Replica, "update", 1, False),
    ]  # fmt: skip
    for owner, name, call, after in seams:
        crash(folder, owner, name, call, after)
    summary = execute(folder, quiet=True)
    assert (summary["rounds"], summary["local_steps"], summary["forward_passes"]) == (6, 2, 4)
    assert summary["channel_uses"] == 2 * summary["slots"] == summary["uplink_bits_per_device"]  # a bit a sign
    assert replay_run(folder.path).digest() == summary["params_digest"]
    closed, burned = slots(folder.path, "round", "erased"), slots(folder.path, "burned")
    charged = ledger_charges(folder.path)
    for releases in charged.values():
        assert len(releases) == len(set(releases))  # no release is made twice
        # a device in a fade neither walks nor pays; who takes part pays for both steps
        assert all((2 * slot in releases) == (2 * slot + 1 in releases) for slot in closed)
    together = {release for releases in charged.values() for release in releases}
    assert together >= {2 * slot + step for slot in closed for step in (0, 1)}
    assert burned == {release // 2 for releases in charged.values() for release in releases} - closed
    assert summary["burned"] == len(burned) == (0 if reproducible else 4)
    copies = read_records(folder.path / "charges.jsonl")
    assert {c["slot"] for c in copies} == closed | burned
    assert all(c["times"] == 2 for c in copies if c["slot"] in closed)
    told = " ".join((folder.path / "statement.txt").read_text().split())
    assert "in each of 2 releases a round (one a local step)" in told
    assert "Only the sign of the noised number is sent" in told
    page = " ".join((folder.path / "report.html").read_text().split())
    assert "sent one sign per perturbation and local step" in page
    assert "each sending 2 signs a round" in page
    if reproducible:
        whole = create(tmp_path / "whole", experiment)
        assert execute(whole, quiet=True)["params_digest"] == summary["params_digest"]
        assert scalars(whole.path) == scalars(folder.path)
    else:
        assert summary["epsilon"] <= summary["epsilon_target"]
