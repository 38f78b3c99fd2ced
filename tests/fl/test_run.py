"""What a whole run leaves behind: its folder, journal, charges and summary, and the weights they can be had from."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from fl.config import load
from fl.diagnostics import read_diagnostics
from fl.export import replay_run
from fl.journal import NAME, read_history
from fl.run import execute
from fl.run_folder import RunFolder, create
from privacy.record_log import encode, read_records
from radio.errors import InputError

SUMMARY_KEYS = {
    "name", "finished", "accuracy", "zero_shot_accuracy", "chance_floor", "bow_accuracy", "first_order_accuracy", "loss",
    "rounds", "slots", "erased", "burned", "devices", "perturbations", "epsilon", "epsilon_target", "delta",
    "noise_multiplier", "sampling_rate", "clip", "train_s", "total_s", "rounds_per_s", "aggregate_nmse_db", "received_snr_db",
    "full_scale_snr_db",
    "local_steps", "payload", "optimiser", "forward_passes",
    "peak_rss_mib", "parameters", "trainable", "uplink_bits_per_device", "first_order_bits_per_device", "channel_uses",
    "params_digest", "model_digest", "seed", "task", "test_examples", "accuracy_interval", "privacy", "resumed", "version",
}  # fmt: skip


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


def test_charges_are_what_was_transmitted(finished_run, ledger_charges):
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
    copy = tmp_path / "run"
    shutil.copytree(finished_run.path, copy)
    records = read_records(copy / NAME)
    (first, *_) = [r for r in records if r["type"] == "round"]
    first["moves"][0][1] = (2 * float.fromhex(first["moves"][0][1])).hex()
    (copy / NAME).write_bytes(b"".join(encode(r) for r in records))
    with pytest.raises(InputError, match="journal was altered"):
        replay_run(copy)


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


def test_without_privacy_there_is_no_epsilon_and_no_ledger_and_a_run_repeats_itself(make_experiment, tmp_path):
    changes = {"privacy.enabled": False, "radio.mode": "ideal", "learning.rounds": 3}
    runs = [create(tmp_path / name, make_experiment(changes)) for name in ("a", "b")]
    first, second = (execute(run, quiet=True) for run in runs)
    assert first["params_digest"] == second["params_digest"]
    for key in ("epsilon", "epsilon_target", "delta", "noise_multiplier", "sampling_rate", "clip", "aggregate_nmse_db"):
        assert first[key] is None, key
    assert first["received_snr_db"] is first["full_scale_snr_db"] is None
    assert not (runs[0].path / "ledger").exists()
    assert (runs[0].path / "charges.jsonl").read_text() == ""
