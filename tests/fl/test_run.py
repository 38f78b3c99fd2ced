"""Whole runs: what they leave behind, and that a run killed at any moment loses no committed round and no charge."""

from __future__ import annotations

import json
import math
import random
import signal
import time
from pathlib import Path

import pytest

from fl.config import load
from fl.diagnostics import Diagnostics, read_diagnostics
from fl.export import replay_run
from fl.journal import NAME, Journal, read_history
from fl.run import execute, finished_summary
from fl.run_folder import RunFolder, create, open_run
from privacy.record_log import read_records
from radio.errors import BudgetError, InputError

SUMMARY_KEYS = {
    "name", "finished", "accuracy", "zero_shot_accuracy", "chance_floor", "bow_accuracy", "first_order_accuracy", "loss",
    "rounds", "slots", "erased", "burned", "devices", "perturbations", "epsilon", "epsilon_target", "delta",
    "noise_multiplier", "sampling_rate", "clip", "train_s", "total_s", "rounds_per_s", "aggregate_nmse_db", "mean_snr_db",
    "local_steps", "payload", "optimiser", "forward_passes",
    "peak_rss_mib", "parameters", "trainable", "uplink_bits_per_device", "first_order_bits_per_device", "channel_uses",
    "params_digest", "model_digest", "seed", "task", "test_examples", "accuracy_interval", "privacy", "resumed", "version",
}  # fmt: skip
ROUNDS = 24


def scalars(run: Path) -> list[tuple]:
    """Everything that decided the weights."""
    return [
        tuple(sorted((k, str(v)) for k, v in r.items()))
        for r in read_records(run / NAME)
        if r["type"] in ("round", "erased")
    ]


def ledger_charges(run: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for file in sorted((run / "ledger").glob("*.jsonl")):
        records = read_records(file)
        found[records[0]["owner"]] = [r["slot"] for r in records[1:]]
    return found


def wait_for_rounds(run: Path, rounds: int, command) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (run / NAME).is_file() and (run / NAME).read_bytes().count(b'"type":"round"') >= rounds:
            return
        time.sleep(0.002)
    raise AssertionError(f"{run} did not get to round {rounds}: {command.printed}")


def test_a_run_leaves_a_complete_folder(finished_run):
    path, summary = finished_run.path, finished_run.summary
    assert {p.name for p in path.iterdir()} == {
        "experiment.toml", "versions.json", "seeds.json", NAME, "diagnostics.jsonl", "charges.jsonl", "statement.txt",
        "summary.json", "report.html", "ledger",
    }  # fmt: skip
    assert json.loads((path / "summary.json").read_text()) == summary
    assert set(summary) >= SUMMARY_KEYS
    assert summary["finished"]
    assert summary["rounds"] == 6 == summary["slots"] - summary["erased"]
    assert (summary["burned"], summary["resumed"], summary["devices"]) == (0, 0, 3)
    assert summary["test_examples"] == 40
    low, high = summary["accuracy_interval"]
    assert 0 <= low <= summary["accuracy"] <= high <= 1
    assert 0 < summary["epsilon"] <= summary["epsilon_target"] == 0.5
    assert summary["chance_floor"] == 0.5
    assert summary["aggregate_nmse_db"] < 0
    assert summary["channel_uses"] == summary["slots"]
    assert summary["uplink_bits_per_device"] < summary["first_order_bits_per_device"] / 1000
    assert summary["params_digest"] != summary["model_digest"]
    assert load(path / "experiment.toml").run.seed == summary["seed"] == 11
    assert "0.5" in (path / "statement.txt").read_text()
    assert (path / "report.html").read_text().lstrip().lower().startswith("<!doctype html")


def test_the_journal_tells_the_whole_story(finished_run):
    history = read_history(finished_run.path)
    assert history.stop == {"type": "stop", "reason": "finished", "digest": finished_run.summary["params_digest"]}
    assert [(e["round"], e["examples"], e["final"]) for e in history.evaluations] == [
        (0, 40, False), (3, 20, False), (6, 40, True),
    ]  # fmt: skip
    assert history.evaluations[-1]["accuracy"] == finished_run.summary["accuracy"]
    assert history.evaluations[0]["accuracy"] == finished_run.summary["zero_shot_accuracy"]


def test_charges_are_what_was_transmitted(finished_run):
    lines = read_diagnostics(finished_run.path)
    charges = ledger_charges(finished_run.path)
    assert sorted(charges) == ["device-0", "device-1", "device-2"]
    for k in range(3):
        assert charges[f"device-{k}"] == [line["slot"] for line in lines if line["active"][k]]
    copies = read_records(finished_run.path / "charges.jsonl")
    assert sorted((c["owner"], c["slot"]) for c in copies) == sorted(
        (o, s) for o, slots in charges.items() for s in slots
    )
    assert all(c["times"] == 1 for c in copies)


def test_the_loop_saw_only_what_was_received(finished_run):
    rounds = [r for r in read_records(finished_run.path / NAME) if r["type"] == "round"]
    lines = [line for line in read_diagnostics(finished_run.path) if not line["erased"]]
    for record, line in zip(rounds, lines, strict=True):
        active = sum(line["active"])
        assert record["active"] == active
        assert record["mean"] == [received / active for received in line["received"]]
        assert line["received"] != line["truth"] != line["signal"]


def test_replaying_the_journal_gives_the_weights_the_run_ended_with(finished_run):
    assert replay_run(finished_run.path).digest() == finished_run.summary["params_digest"]


def test_a_journal_that_was_altered_is_noticed(finished_run, tmp_path):
    import shutil

    from privacy.record_log import encode

    copy = tmp_path / "run"
    shutil.copytree(finished_run.path, copy)
    records = read_records(copy / NAME)
    (first, *_) = [r for r in records if r["type"] == "round"]
    first["moves"][0][1] = (2 * float.fromhex(first["moves"][0][1])).hex()
    (copy / NAME).write_bytes(b"".join(encode(r) for r in records))
    with pytest.raises(InputError, match="journal was altered"):
        replay_run(copy)


def test_a_changed_model_or_task_is_not_resumed(make_experiment, tmp_path, tiny_model):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    folder = create(tmp_path / "run", make_experiment({"model.source": str(model)}))
    journal = Journal(folder.path)
    journal.model(digest="00" * 32, parameters=1, trainable=1, task="11" * 32, source=str(model))
    journal.close()
    with pytest.raises(InputError, match=r"model of .* has changed since the run began"):
        execute(folder, quiet=True)


def test_a_reproducible_run_killed_again_and_again_ends_bit_identical(make_experiment, start, tmp_path):
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
        wait_for_rounds(run, rounds, command)
        time.sleep(moments.uniform(0, 0.05))
        command.signal(signal.SIGKILL)
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


def test_a_killed_private_run_loses_no_round_and_refunds_no_charge(make_experiment, start, tmp_path):
    experiment = make_experiment({"learning.rounds": ROUNDS})
    run, file = tmp_path / "run", tmp_path / "experiment.toml"
    file.write_text(experiment.to_toml())
    moments = random.Random(6)
    committed: list[tuple] = []
    charged: dict[str, list[int]] = {}
    for rounds in (2, 9, 16):
        command = start("run", file, "--out", run) if rounds == 2 else start("run", "--resume", run)
        wait_for_rounds(run, rounds, command)
        time.sleep(moments.uniform(0, 0.03))
        command.signal(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        now = scalars(run)
        assert now[: len(committed)] == committed
        committed = now
        # nothing is refunded, and every committed slot has been paid for
        paid = ledger_charges(run)
        assert all(paid[owner][: len(slots)] == slots for owner, slots in charged.items())
        charged = paid
    last = start("run", "--resume", run)
    assert last.wait() == 0, last.printed
    history, summary = read_history(run), json.loads((run / "summary.json").read_text())
    assert scalars(run)[: len(committed)] == committed
    assert summary["rounds"] == ROUNDS
    charged = ledger_charges(run)
    records = read_records(run / NAME)
    burned = {r["slot"] for r in records if r["type"] == "burned"}
    closed = {r["slot"] for r in records if r["type"] in ("round", "erased")}
    every = {slot for slots in charged.values() for slot in slots}
    assert not burned & closed
    assert burned == every - closed
    assert every <= history.slots == set(range(len(history.slots)))
    for slots in charged.values():
        assert len(slots) == len(set(slots))  # no slot is transmitted twice
    assert (summary["burned"], summary["resumed"]) == (len(burned), 3)
    assert summary["epsilon"] <= summary["epsilon_target"]
    assert replay_run(run).digest() == summary["params_digest"]


class Crash(BaseException):
    """The process is gone at this point."""


def crash_at(monkeypatch, owner, name: str, call: int, after: bool) -> None:
    """Die at the `call`-th call of a method, before it does anything or when it has done everything."""
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

    monkeypatch.setattr(owner, name, dying)


@pytest.mark.parametrize("reproducible", [True, False])
def test_a_crash_at_every_seam_of_a_round_is_mended(make_experiment, tmp_path, reproducible):
    from fl.device import Device
    from fl.transport import InProcess
    from privacy.ledger import Ledger

    experiment = make_experiment({"privacy.reproducible": reproducible})
    folder = create(tmp_path / "run", experiment)
    seams = [
        (Journal, "model", 1, False), (Journal, "evaluation", 1, False),
        (InProcess, "collect", 1, False), (Ledger, "charge", 1, False), (Ledger, "charge", 1, True),
        (Device, "release", 2, True), (InProcess, "collect", 1, True), (Journal, "commit", 1, True),
        (Diagnostics, "write", 1, False), (Journal, "resume", 1, True), (Journal, "stop", 1, False),
    ]  # fmt: skip
    for owner, name, call, after in seams:
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, owner, name, call, after)
            with pytest.raises(Crash):
                execute(folder, quiet=True)
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
def test_crashes_between_local_steps_are_mended(make_experiment, tmp_path, reproducible):
    from fl.device import Device
    from fl.replica import Replica
    from fl.transport import InProcess
    from privacy.ledger import Ledger

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
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, owner, name, call, after)
            with pytest.raises(Crash):
                execute(folder, quiet=True)
    summary = execute(folder, quiet=True)
    assert (summary["rounds"], summary["local_steps"], summary["forward_passes"]) == (6, 2, 4)
    assert summary["channel_uses"] == 2 * summary["slots"] == summary["uplink_bits_per_device"]  # a bit a sign
    assert replay_run(folder.path).digest() == summary["params_digest"]
    records = read_records(folder.path / NAME)
    closed = {r["slot"] for r in records if r["type"] in ("round", "erased")}
    burned = {r["slot"] for r in records if r["type"] == "burned"}
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


def test_noise_is_sized_for_every_local_step(make_experiment):
    from fl.guarantee import guarantee_of
    from privacy.accounting import epsilon

    one, two = (make_experiment({"learning.local_steps": steps}) for steps in (1, 2))
    assert (one.releases, two.releases) == (14, 28)  # 6 rounds and 8 spares
    charge = guarantee_of(two).charge
    assert charge.noise_multiplier > guarantee_of(one).charge.noise_multiplier
    assert 0.45 < epsilon([(charge, 28)], 1e-5) <= 0.5


def test_a_ledger_too_small_for_the_local_steps_is_noticed_at_the_start(make_experiment, tmp_path):
    changes = {"privacy.ledger": str(tmp_path / "ledgers"), "learning.rounds": 2}
    execute(create(tmp_path / "a", make_experiment(changes)), quiet=True)
    again = create(tmp_path / "b", make_experiment({**changes, "learning.local_steps": 3}))
    with pytest.raises(BudgetError, match=r"more releases of .* needs 30 with its spares and 3 local steps a round"):
        execute(again, quiet=True)


def test_ctrl_c_stops_in_order_and_the_run_goes_on_later(make_experiment, start, tmp_path):
    run, file = tmp_path / "run", tmp_path / "experiment.toml"
    file.write_text(make_experiment({"learning.rounds": 60}).to_toml())
    command = start("run", file, "--out", run)
    wait_for_rounds(run, 3, command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130, command.printed
    assert f"pairzero run --resume {run}" in command.printed.replace("\n", "")
    history, summary = read_history(run), json.loads((run / "summary.json").read_text())
    assert history.stop["reason"] == "interrupted"
    assert not summary["finished"]
    assert 3 <= history.rounds == summary["rounds"] < 60
    assert replay_run(run).digest() == history.stop["digest"] == summary["params_digest"]
    assert (run / "report.html").is_file()
    # the folder is refused to a second writer, and to an edited experiment
    journal = Journal(run)
    second = start("run", "--resume", run)
    assert second.wait() == 2
    assert "in use by another process" in second.printed
    journal.close()
    rest = start("run", "--resume", run, "--quiet")
    assert rest.wait() == 0, rest.printed
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["finished"], summary["rounds"], summary["burned"], summary["resumed"]) == (True, 60, 0, 1)


def test_an_interrupt_in_the_last_round_still_ends_with_the_final_evaluation(make_experiment, tmp_path, monkeypatch):
    folder = create(tmp_path / "run", make_experiment({"learning.rounds": 2}))
    real = Journal.commit

    def last(self, *args, **options):
        real(self, *args, **options)
        if self.history.rounds == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Journal, "commit", last)
    summary = execute(folder, quiet=True)
    assert summary["finished"]
    assert read_history(folder.path).evaluations[-1]["final"]


def test_a_spent_budget_ends_the_run_early_with_its_results_written(make_experiment, tmp_path):
    ledgers = tmp_path / "ledgers"
    changes = {"privacy.ledger": str(ledgers)}
    folder = create(tmp_path / "run", make_experiment(changes))
    real, rounds = Journal.commit, 0

    def spend_elsewhere(self, *args, **options):
        """Meanwhile, another run uses the data up."""
        nonlocal rounds
        real(self, *args, **options)
        rounds += 1
        if rounds == 3:
            from privacy.ledger import Ledger

            for ledger in opened:
                while ledger.remaining(charge := ledger.spent()[0][0]) > 0:
                    Ledger.charge(ledger, "another run", len(ledger.slots("another run")), charge)

    from privacy import ledger as module

    opened: list = []
    begin = module.Ledger.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Ledger, "__init__", lambda self, *a, **o: (begin(self, *a, **o), opened.append(self))[0])
        patch.setattr(Journal, "commit", spend_elsewhere)
        with pytest.raises(BudgetError, match="holds no further round; nothing was transmitted"):
            execute(folder, quiet=True)
    history, summary = read_history(folder.path), folder.summary
    assert history.stop["reason"] == "budget"
    assert summary["finished"]
    assert summary["rounds"] == 3
    assert summary["epsilon"] <= 0.5
    assert (folder.path / "report.html").is_file()
    # and a next run on the same data is refused before its first round
    again = create(tmp_path / "again", make_experiment(changes))
    with pytest.raises(BudgetError, match=r"holds 0 more rounds of this run's kind, but\s+the run needs 14"):
        execute(again, quiet=True)
    assert read_history(again.path).rounds == 0


def test_without_privacy_there_is_no_epsilon_and_no_ledger_and_a_run_repeats_itself(make_experiment, tmp_path):
    changes = {"privacy.enabled": False, "radio.mode": "ideal", "learning.rounds": 3}
    runs = [create(tmp_path / name, make_experiment(changes)) for name in ("a", "b")]
    first, second = (execute(run, quiet=True) for run in runs)
    assert first["params_digest"] == second["params_digest"]
    for key in ("epsilon", "epsilon_target", "delta", "noise_multiplier", "sampling_rate", "clip", "aggregate_nmse_db"):
        assert first[key] is None, key
    assert first["mean_snr_db"] is None
    assert not (runs[0].path / "ledger").exists()
    assert (runs[0].path / "charges.jsonl").read_text() == ""


def test_a_full_disk_is_explained_and_the_run_can_be_resumed(make_experiment, tmp_path, monkeypatch):
    import errno
    import os

    folder = create(tmp_path / "run", make_experiment({"privacy.reproducible": True, "learning.rounds": 3}))
    real, written = os.write, 0

    def full(file, data):
        nonlocal written
        if b'"type":"round"' in data:
            written += 1
            if written == 2:
                real(file, data[:20])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InputError, match=r"journal.jsonl: No space left on device; free some space and resume"):
            execute(folder, quiet=True)
    assert read_history(folder.path).rounds == 1
    assert execute(open_run(folder.path), quiet=True)["rounds"] == 3


def test_a_torn_line_of_diagnostics_costs_that_line_only(tmp_path, finished_run):
    text = (finished_run.path / "diagnostics.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "diagnostics.jsonl"
    path.write_text("".join(text[:3]) + text[3][:30])
    log = Diagnostics(tmp_path)
    log._file.write(text[4])
    log.close()
    assert [line["slot"] for line in read_diagnostics(tmp_path)] == [0, 1, 3]


def test_no_number_of_a_run_is_infinite_or_nan(finished_run):
    def numbers(value):
        if isinstance(value, dict):
            for v in value.values():
                yield from numbers(v)
        elif isinstance(value, list):
            for v in value:
                yield from numbers(v)
        elif isinstance(value, float):
            yield value

    assert all(math.isfinite(v) for v in numbers(finished_run.summary))
    assert RunFolder(finished_run.path, load(finished_run.path / "experiment.toml")).summary == finished_run.summary


def test_an_air_that_erases_everything_stops_the_run_with_exit_code_3(make_experiment, tmp_path, monkeypatch):
    from fl import rounds
    from radio.errors import StoppedEarly

    monkeypatch.setattr(rounds, "ERASURES_IN_A_ROW", 4)
    folder = create(tmp_path / "deaf", make_experiment({"radio.snr_db": -60.0}))
    with pytest.raises(StoppedEarly, match="4 slots in a row were erased") as stopped:
        execute(folder, quiet=True)
    assert stopped.value.exit_code == 3
    history = read_history(folder.path)
    assert history.erased == 4 and history.rounds == 0
    assert history.stop["reason"] == "erasures"
    assert (folder.path / "report.html").is_file()
    assert finished_summary(folder) is None
