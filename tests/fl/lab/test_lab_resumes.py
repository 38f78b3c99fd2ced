"""A server that is interrupted, or killed: nothing committed is lost, its devices wait for it, and everybody ends alike."""

from __future__ import annotations

import signal
from collections.abc import Callable

from bench.lab import Lab
from fl.config import Experiment
from fl.journal import read_history
from tests.fl.conftest import LONG
from tests.fl.lab.test_lab_crashes import RUN, summary_of
from tests.fl.lab.test_lab_runs import replayed, write
from tests.fl.test_watch_command import shown

Make = Callable[..., Experiment]


def test_a_server_that_is_interrupted_and_then_killed_is_resumed(lab: Lab, make_experiment: Make) -> None:
    experiment = make_experiment(RUN)
    epsilon = experiment.privacy.epsilon
    server = lab.server(write(lab, experiment), "--out", lab.run)
    slow = lab.slow_link(0.05)  # so that it is stopped before the end
    devices = [lab.device(k) for k in range(2)]
    lab.until(2)
    server.kill(signal.SIGINT)  # it ends the round, and the devices wait for it
    assert server.wait() == 130
    assert "pairzero server --resume" in server.printed
    history = read_history(lab.run)
    assert history.stop is not None and history.stop["reason"] == "interrupted" and history.burned == 0
    assert f"of {epsilon:g} spent" in shown(lab.run)  # by the server's copy of the charges
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
    for slots in lab.ledgers().values():
        assert len(set(slots)) == len(slots) and set(slots) <= history.slots
