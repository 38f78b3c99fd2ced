"""Kills and restarts of real processes: nothing committed is lost, no slot is charged twice, everybody ends alike."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fl.config import Experiment
from fl.journal import read_history
from privacy.record_log import read_records
from tests.fl.lab.conftest import LONG, Lab
from tests.fl.lab.test_lab_runs import replayed, write

Make = Callable[..., Experiment]
RUN = {
    "learning.devices": 2,
    "learning.rounds": LONG,
    "radio.mode": "ideal",  # nobody sits a round out by channel
    "run.evaluate_every": 6,
}


def summary_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text(encoding="utf-8"))


def ledgers_of(lab: Lab) -> dict[str, list[int]]:
    """Device -> slots it was charged for, in order."""
    found = [read_records(file) for file in (lab.folder / "data").rglob("*.jsonl")]
    return {records[0]["owner"]: [r["slot"] for r in records[1:]] for records in found}


def test_a_killed_device_comes_back_and_catches_up(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment(RUN)), "--out", lab.run)
    direct = lab.endpoint
    slow = lab.slow_link(0.02)
    devices = [lab.device(k) for k in range(2)]
    lab.until(3)
    slow.delay_s = 0.8  # 5 s a round: the run must not end before the device is back
    devices[1].kill()
    assert devices[1].wait() == -signal.SIGKILL
    server.until("device-1 is lost")
    lab.endpoint = direct
    again = lab.device(1)
    server.until("device-1 has joined", times=2)
    slow.delay_s = 0.0
    assert server.wait() == 0, server.printed
    assert again.wait() == 0, again.printed
    digest = summary_of(lab.run)["params_digest"]
    assert f"digest of the weights {digest}" in again.printed
    assert digest == replayed(lab.run)
    charged = ledgers_of(lab)
    assert all(len(set(slots)) == len(slots) for slots in charged.values())  # no slot twice
    active = Counter(r["active"] for r in read_records(lab.run / "journal.jsonl") if r["type"] == "round")
    assert set(active) <= {1, 2} and active[2] >= 3
    assert read_history(lab.run).erased <= 1  # if it was killed on the air


def test_a_server_that_is_interrupted_and_then_killed_is_resumed(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment(RUN)), "--out", lab.run)
    slow = lab.slow_link(0.05)  # so that it is stopped before the end
    devices = [lab.device(k) for k in range(2)]
    lab.until(2)
    server.kill(signal.SIGINT)  # it ends the round, and the devices wait for it
    assert server.wait() == 130
    assert "pairzero server --resume" in server.printed
    history = read_history(lab.run)
    assert history.stop is not None and history.stop["reason"] == "interrupted" and history.burned == 0
    devices[0].kill(signal.SIGINT)
    assert devices[0].wait() == 130
    server = lab.server("--resume", lab.run, port=str(slow.target))
    lab.endpoint = slow.endpoint
    devices[0] = lab.device(0)
    before = history.rounds + 3
    lab.until(before)
    assert read_history(lab.run).burned == 0
    server.kill()
    assert server.wait() == -signal.SIGKILL
    slow.delay_s = 0.0
    server = lab.server("--resume", lab.run, port=str(slow.target))
    assert server.wait() == 0, server.printed
    assert [device.wait() for device in devices] == [0, 0], [device.printed for device in devices]
    summary, history = summary_of(lab.run), read_history(lab.run)
    assert summary["rounds"] == LONG > before and summary["resumed"] == 2
    assert summary["params_digest"] == replayed(lab.run)
    assert all(f"digest of the weights {summary['params_digest']}" in device.printed for device in devices)
    assert history.burned <= 1
    for slots in ledgers_of(lab).values():
        assert len(set(slots)) == len(slots) and set(slots) <= history.slots
