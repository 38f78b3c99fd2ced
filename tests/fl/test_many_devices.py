"""A thousand devices in one process, around one replica of the weights."""

from __future__ import annotations

from fl.diagnostics import WHOLE, read_diagnostics
from fl.export import replay_run
from fl.journal import NAME
from fl.run import execute
from fl.run_folder import create
from privacy.record_log import read_records

DEVICES = 1000


def test_a_thousand_devices_run_and_share_one_replica(make_experiment, tmp_path):
    changes = {
        "learning.devices": DEVICES, "learning.rounds": 3, "learning.batch": 1, "learning.micro_batch": 16,
        "task.examples_per_device": 3, "task.test_examples": 10, "run.evaluate_examples": 10,
        "radio.fidelity": "symbol", "radio.snr_db": 60.0, "privacy.enabled": False,
    }  # fmt: skip
    folder = create(tmp_path / "run", make_experiment(changes))
    summary = execute(folder, quiet=True)
    assert (summary["rounds"], summary["devices"]) == (3, DEVICES)
    assert summary["channel_uses"] == summary["slots"]  # all at the same time, however many they are
    active = [r["active"] for r in read_records(folder.path / NAME) if r["type"] == "round"]
    # Rayleigh fading leaves out 1 - exp(-0.05) = 4.9 % on average, with a standard deviation of 6.8 of the thousand
    assert all(abs(n - 951) < 5 * 6.8 for n in active)
    lines = read_diagnostics(folder.path)  # which do not grow with the study
    assert all(line["devices"] == DEVICES and len(line["active"]) == len(line["gain_db"]) == WHOLE for line in lines)
    assert "first 256 of 1,000 devices" in (folder.path / "report.html").read_text()
    assert replay_run(folder.path).digest() == summary["params_digest"]
