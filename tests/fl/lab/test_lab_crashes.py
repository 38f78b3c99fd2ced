"""A device that is killed: no slot is charged twice, it catches up, and everybody ends alike."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.lab import Lab
from fl.config import Experiment
from fl.journal import read_history
from privacy.record_log import read_records
from tests.fl.conftest import LONG
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


def test_a_killed_device_comes_back_and_catches_up(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment(RUN)), "--out", lab.run)
    direct = lab.endpoint
    slow = lab.slow_link(0.02)
    devices = [lab.device(k) for k in range(2)]
    lab.until(3)
    slow.delay_s = 0.5  # 3 s a round: the run must not end before the device is back
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
    charged = lab.ledgers()
    assert all(len(set(slots)) == len(slots) for slots in charged.values())  # no slot twice
    active = Counter(r["active"] for r in read_records(lab.run / "journal.jsonl") if r["type"] == "round")
    assert set(active) <= {1, 2} and active[2] >= 3
    assert read_history(lab.run).erased <= 1  # if it was killed on the air
