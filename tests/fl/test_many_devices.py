"""A thousand devices in one process, around one replica of the weights."""

from __future__ import annotations

from fl.diagnostics import read_diagnostics
from fl.export import replay_run
from fl.run import execute
from fl.run_folder import create

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
    active = [sum(line["active"]) for line in read_diagnostics(folder.path) if not line["erased"]]
    # Rayleigh fading leaves out 1 - exp(-0.05) = 4.9 % on average, with a standard deviation of 6.8 of the thousand
    assert all(abs(n - 951) < 5 * 6.8 for n in active)
    assert replay_run(folder.path).digest() == summary["params_digest"]
