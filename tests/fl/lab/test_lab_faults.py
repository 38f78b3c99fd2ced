"""What labs do to a run: a full disk, a folder that cannot be written, a second server, an impatient Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.lab import Lab
from fl.config import Experiment
from fl.journal import NAME, read_history
from tests.fl.conftest import LONG
from tests.fl.lab.test_lab_crashes import RUN, summary_of
from tests.fl.lab.test_lab_runs import replayed, write

Make = Callable[..., Experiment]


def small_disk(size: int) -> list[tuple[str, dict[str, int]]]:
    return [("tests.fl.lab.faults:small_disk", {"bytes_": size})]


def check_the_end(lab: Lab) -> None:
    """All rounds, the journal's weights, and no slot charged twice."""
    summary, history = summary_of(lab.run), read_history(lab.run)
    assert summary["finished"] and summary["rounds"] == LONG
    assert summary["params_digest"] == replayed(lab.run)
    for slots in lab.ledgers().values():
        assert len(set(slots)) == len(slots) and set(slots) <= history.slots


def test_a_full_disk_and_a_second_server(lab: Lab, make_experiment: Make) -> None:
    file = write(lab, make_experiment(RUN))
    full = lab.server(file, "--out", lab.run, prepare=small_disk(3500))  # some rounds' lines
    devices = [lab.device(k) for k in range(2)]
    assert full.wait() == 2, full.printed
    last = full.printed.strip().splitlines()[-1]
    assert last.startswith("pairzero: cannot write to") and last.endswith("File too large; free some space and resume")
    assert "Traceback" not in full.printed
    committed = read_history(lab.run)
    assert 1 <= committed.rounds < LONG and committed.stop is None
    assert [device.wait() for device in devices] == [3, 3]
    assert "the server has ended the run; its terminal says why" in devices[0].printed
    server = lab.server("--resume", lab.run)
    second = lab("server", "--resume", lab.run, "--listen", "tcp://127.0.0.1:*")
    assert second.wait() == 2
    assert f"{NAME} is in use by another process" in " ".join(second.printed.split())
    devices = [lab.device(k) for k in range(2)]
    assert server.wait() == 0, server.printed
    assert [device.wait() for device in devices] == [0, 0], [device.printed for device in devices]
    assert read_history(lab.run).updates[: len(committed.updates)] == committed.updates
    check_the_end(lab)


def test_a_ledger_that_cannot_be_written_ends_the_device_alone(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment(RUN)), "--out", lab.run)
    direct, slow = lab.endpoint, lab.slow_link(0.05)  # so that the run is not over before the device is back
    full = lab.device(0, prepare=small_disk(900))  # a header and some charges
    other = lab.device(1)
    assert full.wait() == 2, full.printed
    slow.delay_s = 0.5
    last = full.printed.strip().splitlines()[-1]
    assert last.startswith("pairzero: cannot write to") and last.endswith("File too large; free some space and resume")
    spent = lab.ledgers()["device-0"]
    assert spent
    lab.endpoint = direct
    again = lab.device(0)
    server.until("device-0 has joined", times=2)
    slow.delay_s = 0.0
    assert [p.wait() for p in (server, other, again)] == [0, 0, 0], again.printed
    assert lab.ledgers()["device-0"][: len(spent)] == spent and len(lab.ledgers()["device-0"]) > len(spent)
    check_the_end(lab)


def test_an_impatient_ctrl_c_burns_the_round_and_loses_nothing(lab: Lab, make_experiment: Make) -> None:
    server = lab.server(write(lab, make_experiment(RUN)), "--out", lab.run)
    slow = lab.slow_link(0.3)  # most of the time is in the middle of a round
    devices = [lab.device(k) for k in range(2)]
    lab.until(2)
    for process in (server, devices[1]):
        for times in (1, 2):
            process.kill(signal.SIGINT)
            if times == 1:
                process.until("once more to stop at once")
    assert server.wait() == devices[1].wait() == 130
    assert "Traceback" not in server.printed + devices[1].printed
    slow.delay_s = 0.0
    server = lab.server("--resume", lab.run, port=str(slow.target))
    lab.endpoint = slow.endpoint
    again = lab.device(1)
    assert [p.wait() for p in (server, devices[0], again)] == [0, 0, 0], server.printed
    assert read_history(lab.run).burned + read_history(lab.run).erased <= 2
    check_the_end(lab)


@pytest.mark.parametrize("where", ["run", "ledger"])
def test_a_folder_that_cannot_be_written_is_refused(lab: Lab, make_experiment: Make, where: str) -> None:
    blocked = lab.folder / "file" / "below"
    blocked.parent.write_text("not a folder", encoding="utf-8")
    file = write(lab, make_experiment(RUN))
    if where == "run":
        refused = lab("server", file, "--out", blocked)
    else:
        lab.server(file, "--out", lab.run)
        refused = lab.device(0, "--ledger", blocked)
    assert refused.wait() == 2
    text = " ".join(refused.printed.split())
    assert ("cannot create the run folder" if where == "run" else "for appending: Not a directory") in text
    assert "Traceback" not in text and str(blocked) in text
    assert not Path(lab.run, "summary.json").exists()
