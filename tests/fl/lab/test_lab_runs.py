"""Whole runs of a server and three devices, each a process, over real sockets: what the weights are and what a round costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench.lab import Lab
from fl import session
from fl.config import Experiment, load
from fl.journal import read_history
from fl.run import execute
from fl.run_folder import create
from privacy.record_log import read_records
from tests.fl.conftest import LONG

Make = Callable[..., Experiment]


def replayed(run: Path) -> str:
    """Digest of the weights that a run's journal gives."""
    experiment = load(run / "experiment.toml")
    replica = session.build_replica(experiment, session.experiment_task(experiment))
    replica.replay(read_history(run).updates)
    return replica.digest()


def write(lab: Lab, experiment: Experiment) -> Path:
    file = lab.folder / "experiment.toml"
    file.write_text(experiment.to_toml(), encoding="utf-8")
    return file


def test_a_run_has_the_same_weights_everywhere(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment({"learning.rounds": LONG})), "--out", lab.run)
    devices = [lab.device(k) for k in range(3)]
    assert server.wait() == 0, server.printed
    summary = json.loads((lab.run / "summary.json").read_text(encoding="utf-8"))
    assert summary["finished"] and summary["rounds"] == LONG and summary["erased"] == 0
    digest = summary["params_digest"]
    assert digest == replayed(lab.run)
    for device in devices:
        assert device.wait() == 0
        assert f"digest of the weights {digest}" in device.printed
    # Who is in a deep fade sits a round out and is not charged.
    active = sum(r["active"] for r in read_records(lab.run / "journal.jsonl") if r["type"] == "round")
    charged = [r["owner"] for r in read_records(lab.run / "charges.jsonl")]
    assert len(charged) == active > 2 * LONG
    ledgers = [read_records(file) for file in (lab.folder / "data").rglob("*.jsonl")]
    assert {r[0]["owner"]: len(r) - 1 for r in ledgers} == {name: charged.count(name) for name in sorted(set(charged))}
    diagnostics = (lab.run / "diagnostics.jsonl").read_text(encoding="utf-8")
    assert '"truth"' not in diagnostics and '"signal"' not in diagnostics


def test_one_process_or_four_give_the_same_weights(lab: Lab, make_experiment: Make) -> None:
    """With reproducible secrets a run in one process draws the same batches and noise, so it ends with the same bits."""
    experiment = make_experiment({"privacy.reproducible": True, "learning.optimiser": "momentum"})
    server = lab.server(write(lab, experiment), "--out", lab.run)
    devices = [lab.device(k) for k in range(3)]
    assert server.wait() == 0, server.printed
    assert [device.wait() for device in devices] == [0, 0, 0]
    alone = execute(create(lab.folder / "alone", experiment), quiet=True)
    summary = json.loads((lab.run / "summary.json").read_text(encoding="utf-8"))
    assert summary["params_digest"] == alone["params_digest"]
