"""Whole runs at a station of virtual units, through the real driver: the same experiment file as on the loopback."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fl.run
from bench.forks import until_committed
from fl.diagnostics import read_diagnostics
from fl.journal import read_history
from fl.recordings import recordings_of
from fl.station_log import sessions_of
from privacy.record_log import read_records
from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.recording import read_recording

CLIP, DEVICES = 10.0, 3  # of the shared experiment: full scale of the sum is their product

STATION = """
[station]
name = "four"
clock = "{clock}"
lo_hz = 915e6
rate_sps = 600e3
receive_gain_db = 30
transmit_gain_db = -10
block_samples = 2048
kernel_blocks = 2
timeout_s = 1.0
{permit}
[receiver]
uri = "{receiver}"
"""
PERMIT = "\n[permit]\nband_hz = [902e6, 928e6]\nmax_eirp_dbm = 0\nduty = {duty}\nduty_period_s = 1000\n"


def write_station(path: Path, plutos: Plutos, clock: str = "shared", permit: str = PERMIT.format(duty=1)) -> Path:
    *devices, receiver = plutos.uris
    text = STATION.format(clock=clock, permit=permit, receiver=receiver)
    path.write_text(text + "".join(f'\n[[device]]\nuri = "{uri}"\n' for uri in devices))
    return path


@pytest.fixture(scope="module")
def shared() -> Iterator[Plutos]:
    with serve(4, clock="shared", seed=5, host="127.0.0.1", port=0) as plutos:
        yield plutos


@pytest.fixture(autouse=True)
def silent_afterwards(shared: Plutos) -> Iterator[None]:
    """As the units themselves see it, whatever a test did; and no fault is left over for the next."""
    yield
    for unit in shared.units:
        assert unit.transceiver.settings.tx_gain_db == -89.75 and unit.transmit_buffer is None
        unit.faults.waiting.clear()


@pytest.fixture
def file(make_experiment: Any, tmp_path: Path) -> Callable[..., Path]:
    """The shared experiment, with changes, as a file."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "experiment.toml"
        quick = {"learning.rounds": 3, "radio.window": 1024, "run.evaluate_every": 50, "task.test_examples": 20}
        named = {key.replace("__", "."): value for key, value in changes.items()}
        path.write_text(make_experiment(quick | named).to_toml())
        return path

    return write


def error_rms(run: Path) -> float:
    """Of the received sums, of full scale."""
    lines = [line for line in read_diagnostics(run) if not line["erased"]]
    off = np.array([line["received"] for line in lines]) - np.array([line["truth"] for line in lines])
    return float(np.sqrt(np.mean(off**2))) / (DEVICES * CLIP)


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def test_a_device_that_takes_no_part_is_named_while_the_run_goes_on(
    pairzero: Any, file: Any, shared: Plutos, tmp_path: Path
) -> None:
    """Device 1 has its antenna off, as it were; the others' rounds are good."""
    station = write_station(tmp_path / "s.toml", shared)
    uri = shared.uris[1]
    station.write_text(station.read_text().replace(f'uri = "{uri}"', f'uri = "{uri}"\ntransmit_gain_db = -89.75'))
    done = pairzero("run", file(learning__rounds=12), "--station", station, "--out", "run")
    assert done.code == 0, done.err
    shown = " ".join(done.out.split())
    assert shown.count("has been left out of 10 slots in a row") == 1
    assert f"device 1 ({uri}) has been left out of 10 slots in a row: its pilot has" in shown
    assert f"left out to the end: device 1 ({uri}) (12 slots)" in shown
    assert summary(tmp_path / "run")["erased"] == 0


def test_a_coherent_run_on_one_reference(pairzero: Any, file: Any, shared: Plutos, tmp_path: Path) -> None:
    station = write_station(tmp_path / "s.toml", shared)
    words = ["run", file(radio__snr_db=25, run__record_every=2), "--station", station, "--out", "run"]
    done = pairzero(*words)
    run = tmp_path / "run"
    assert done.code == 0, done.err
    assert "coherent mode on station four (one reference clock, 915 MHz)" in done.out
    assert done.out.count("the air is the station's: radio.snr_db = 25.0") == 1
    assert summary(run)["rounds"] == 3 and summary(run)["station"] == "four"
    assert error_rms(run) < 0.01
    # what is kept of the station
    assert (run / "station.toml").read_text() == station.read_text()
    (session,) = sessions_of(run)
    assert [d["serial"] for d in session["begin"]["devices"]] == ["virtual-00", "virtual-01", "virtual-02"]
    assert session["end"]["receiver"]["temperatures_c"]["transceiver"] > 0
    page = (run / "report.html").read_text()
    for text in ("<h2>The station</h2>", "virtual-03", "v0.39-virtual", "radio.snr_db = 25.0 and the defaults"):
        assert text in page, text
    # recordings hold what the receiver heard, and say where
    kept = [read_recording(path) for path in recordings_of(run)]
    assert [recording.facts["slot"] for recording in kept] == [0, 2]
    assert kept[0].full_scale == 2048 and "virtual-03" in kept[0].hardware
    assert kept[0].facts["settings"]["station"]["name"] == "four" and "snr_db" not in kept[0].facts["settings"]
    # the same file on the loopback differs only in --station
    assert pairzero(*words[:2], "--out", "loopback").code == 0
    assert (tmp_path / "loopback" / "experiment.toml").read_text() == (run / "experiment.toml").read_text()
    assert not (tmp_path / "loopback" / "station.toml").exists()


def test_an_energy_run_on_free_clocks(pairzero: Any, file: Any, tmp_path: Path) -> None:
    with serve(4, clock="free", seed=3, host="127.0.0.1", port=0) as plutos:
        station = write_station(tmp_path / "s.toml", plutos, "free")
        done = pairzero(
            "run", file(radio__mode="energy", radio__window=8192, radio__pilot_window=4096), "--station", station, "--out", "run",
            "--quiet",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert all(u.transceiver.settings.tx_gain_db == -89.75 and u.transmit_buffer is None for u in plutos.units)
    assert summary(tmp_path / "run")["rounds"] == 3
    assert error_rms(tmp_path / "run") < 0.03


def test_what_is_refused_before_a_radio_is_opened(pairzero: Any, file: Any, tmp_path: Path) -> None:
    """Nobody listens at these addresses, and no folder is left behind."""
    unplugged = (
        STATION.format(clock="free", permit="", receiver="ip:127.0.0.1:1") + '[[device]]\nuri = "ip:127.0.0.1:2"\n'
    )
    (tmp_path / "s.toml").write_text(unplugged)
    words = ["--station", tmp_path / "s.toml", "--out", tmp_path / "run"]
    for more, message in (
        ([], "learning.devices = 3, but station four has 1"),
        (["--set", "learning.devices=1"], "feed all of them one 40 MHz reference"),
        (["--set", "learning.devices=1", "--set", "radio.mode=energy"], "--allow-tx"),
        (["--set", "radio.mode=ideal"], "leave --station out"),
    ):
        done = pairzero("run", file(), *more, *words)
        assert done.code == 2 and message in done.err and done.err.count("pairzero: ") == 1
    assert pairzero("run", file(), "--allow-tx").code == 2
    assert not (tmp_path / "run").exists() and not (tmp_path / "runs").exists()
    (tmp_path / "s.toml").write_text(unplugged + "[stetion]\n")
    assert "unknown key stetion; did you mean station?" in pairzero("run", file(), *words).err


def test_radios_that_are_not_there_leave_no_folder(pairzero: Any, file: Any, tmp_path: Path) -> None:
    text = STATION.format(clock="free", permit=PERMIT.format(duty=1), receiver="ip:127.0.0.1:1")
    (tmp_path / "s.toml").write_text(text + '[[device]]\nuri = "ip:127.0.0.1:2"\n')
    words = ["--set", "learning.devices=1", "--set", "radio.mode=energy", "--station", tmp_path / "s.toml"]
    done = pairzero("run", file(), *words, "--out", tmp_path / "run")
    assert done.code == 2 and "ip:127.0.0.1:1: open: nobody listens there" in done.err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def armed(shared: Plutos, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`armed("1:drop@command=200")`: faults of the units, counted from when a run has opened its radios."""

    def arm(*faults: str) -> None:
        opened = fl.run.open_station_air

        def opening(*words: Any) -> Any:
            air = opened(*words)
            with shared.lock:
                for fault in faults:
                    shared.units[int(fault[0])].faults.arm(parse_fault(fault))
            return air

        monkeypatch.setattr(fl.run, "open_station_air", opening)

    return arm


def test_faults_of_every_kind_cost_slots_and_not_the_run(
    pairzero: Any, file: Any, shared: Plutos, armed: Any, tmp_path: Path, ledger_charges: Any
) -> None:
    """One after another, of the receiver (unit 3) and of devices; what is lost is in the journal with its reason."""
    armed(
        "3:drop@capture=60", "3:eio@capture=200", "3:gap@capture=320", "3:saturate@capture=440,count=20",
        "3:stall@capture=560,seconds=2", "3:power@capture=680,seconds=0.2", "3:ebusy@open=1",
        "0:drop@command=100", "1:phase@command=100", "2:power@command=160,seconds=0.2", "1:ebusy@open=1",
    )  # fmt: skip
    station = write_station(tmp_path / "s.toml", shared)
    done = pairzero("run", file(learning__rounds=12, run__record_every=1), "--station", station, "--out", "run")
    run = tmp_path / "run"
    assert done.code == 0, done.err
    history = read_history(run)
    assert history.rounds == 12 and 4 <= history.erased <= 14
    reasons = [r["reason"] for r in read_records(run / "journal.jsonl") if r["type"] == "erased"]
    assert any("in use by another program" in reason for reason in reasons) and all(reasons)
    assert error_rms(run) < 0.01
    # nobody pays for a slot whose sounding failed
    unheard = {line["slot"] for line in read_diagnostics(run) if not any(line["active"])}
    assert unheard and all(not unheard & set(slots) for slots in ledger_charges(run).values())


def test_a_radio_that_fails_again_and_again_stops_the_run_and_it_can_be_resumed(
    pairzero: Any, file: Any, shared: Plutos, armed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = write_station(tmp_path / "s.toml", shared)
    armed("1:ebusy@open=1,count=1000")
    done = pairzero("run", file(), "--station", station, "--out", "run", "--quiet")
    assert done.code == 3 and done.err.count("pairzero: ") == 1
    assert "in use by another program" in done.err and "continue with: pairzero run --resume run" in done.err
    run = tmp_path / "run"
    assert (read_history(run).rounds, read_history(run).erased, read_history(run).stop["reason"]) == (0, 3, "radio")
    assert "stopped: radio" in (run / "report.html").read_text()
    shared.units[1].faults.waiting.clear()
    monkeypatch.undo()
    again = pairzero("run", "--resume", run, "--quiet")
    assert again.code == 0, again.err
    assert summary(run)["rounds"] == 3 and len(sessions_of(run)) == 2


def test_a_duty_that_is_used_up_stops_the_run(pairzero: Any, file: Any, shared: Plutos, tmp_path: Path) -> None:
    station = write_station(tmp_path / "s.toml", shared, permit=PERMIT.format(duty=0.0002))
    done = pairzero("run", file(learning__rounds=200), "--station", station, "--out", "run", "--quiet")
    assert done.code == 3
    assert "the permitted duty of 0.02 % of 1000 s leaves" in done.err and "--resume run" in done.err
    rounds = read_history(tmp_path / "run").rounds
    assert rounds < 200
    # elsewhere, or here under another permit, it goes on
    wider = write_station(tmp_path / "wider.toml", shared)
    command = ["run", "--resume", tmp_path / "run", "--station", wider, "--quiet"]
    stopper = threading.Thread(target=interrupt, args=(tmp_path / "run", rounds + 2))
    stopper.start()
    stopped = pairzero(*command)
    stopper.join()
    assert stopped.code == 130
    assert read_history(tmp_path / "run").rounds >= rounds + 2
    assert tomllib.loads((tmp_path / "run" / "station.toml").read_text())["permit"]["duty"] == 1


def interrupt(run: Path, rounds: int) -> None:
    """Ctrl-C to this process once the run has come so far."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (run / "journal.jsonl").read_bytes().count(b'"type":"round"') >= rounds:
            break
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_was_killed_goes_on(
    pairzero: Any, start: Any, file: Any, shared: Plutos, tmp_path: Path, ledger_charges: Any
) -> None:
    """The units stop sending when the connection ends; the copied station is opened again."""
    station, run = write_station(tmp_path / "s.toml", shared), tmp_path / "run"
    command = start("run", file(learning__rounds=6), "--station", station, "--out", run, "--quiet")
    until_committed(run, 2, [command])
    command.kill(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    for unit in shared.units:
        deadline = time.monotonic() + 10
        while unit.transmit_buffer is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert unit.transmit_buffer is None
    done = pairzero("run", "--resume", run, "--quiet")
    assert done.code == 0, done.err
    history = read_history(run)
    assert history.rounds == 6 and history.resumed == 1
    charged = {slot for slots in ledger_charges(run).values() for slot in slots}
    assert charged <= history.slots


def test_a_run_that_began_on_the_loopback_stays_there(pairzero: Any, file: Any, shared: Plutos, tmp_path: Path) -> None:
    from fl.config import load
    from fl.run_folder import create

    create(tmp_path / "run", load(file()))
    station = write_station(tmp_path / "s.toml", shared)
    done = pairzero("run", "--resume", tmp_path / "run", "--station", station)
    assert done.code == 2 and "began on the simulated air" in done.err


def test_private_truths_of_real_radios_are_not_written(
    pairzero: Any, file: Any, shared: Plutos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fl.station_air import StationAir

    monkeypatch.setattr(StationAir, "virtual", property(lambda air: False))
    station = write_station(tmp_path / "s.toml", shared)
    private = ["--set", "task.public=false", "--set", f"privacy.ledger={tmp_path / 'ledger'}"]
    done = pairzero("run", file(learning__rounds=1), "--station", station, "--quiet", *private, "--out", "private")
    assert done.code == 0, done.err
    lines = read_diagnostics(tmp_path / "private")
    assert lines and not any({"truth", "signal", "nonfinite"} & set(line) for line in lines)
    assert (tmp_path / "private" / "report.html").is_file() and summary(tmp_path / "private")[
        "aggregate_nmse_db"
    ] is None
