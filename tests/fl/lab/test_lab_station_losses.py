"""Devices with radios of their own that die on the air, or whose radio fails: silence, an erasure, and the run goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from fl.config import Experiment
from fl.journal import read_history
from radio.emulator.server import Plutos, serve
from tests.fl.lab.test_lab_station import SETTINGS, await_silence, replayed, station

LONG = 12  # rounds; what they cost is known to the processes these are forked from
pytestmark = pytest.mark.libiio

Make = Callable[..., Experiment]


def on_air(units: Plutos, unit: int) -> bool:
    return units.units[unit].transmit_buffer is not None


def await_air(units: Plutos, unit: int) -> None:
    """Return while the unit is sending."""
    deadline = time.monotonic() + 60.0
    while not on_air(units, unit):
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def test_a_device_that_dies_on_the_air_falls_silent_and_is_left_out(lab: Any, make_experiment: Make) -> None:
    with serve(3, clock="free", seed=6, host="127.0.0.1", port=0) as units:
        file = station(lab.folder, units, clock="free")
        experiment = lab.folder / "experiment.toml"
        changes = SETTINGS | {"radio.mode": "energy", "learning.rounds": LONG}
        experiment.write_text(make_experiment(changes).to_toml(), encoding="utf-8")
        server = lab.server(experiment, "--out", lab.run, "--station", file)
        stays, dies = (lab.device(k, "--station", file) for k in range(2))
        lab.until(2)
        unit = units.units[2].serial
        assert unit == "virtual-02"  # device-1's
        await_air(units, 2)
        dies.kill(signal.SIGKILL)
        assert dies.wait() == -signal.SIGKILL
        deadline = time.monotonic() + 10.0
        while on_air(units, 2):
            assert time.monotonic() < deadline, "the unit of a dead process still sends"
            time.sleep(0.01)
        assert server.wait() == 0, server.printed
        assert "device-1 is lost" in server.printed
        summary = json.loads((lab.run / "summary.json").read_text(encoding="utf-8"))
        assert summary["finished"] and summary["rounds"] == LONG
        assert summary["params_digest"] == replayed(lab.run)
        assert stays.wait() == 0 and f"digest of the weights {summary['params_digest']}" in stays.printed
        assert read_history(lab.run).erased <= 2  # the slot it died in
        await_silence(units)


def test_a_device_that_is_stopped_leaves_silence(lab: Any, make_experiment: Make) -> None:
    """SIGTERM, twice: at once, on every way out muted."""
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as units:
        file = station(lab.folder, units)
        experiment = lab.folder / "experiment.toml"
        experiment.write_text(make_experiment(SETTINGS | {"learning.rounds": LONG}).to_toml(), encoding="utf-8")
        server = lab.server(experiment, "--out", lab.run, "--station", file)
        devices = [lab.device(k, "--station", file) for k in range(2)]
        lab.until(1)
        server.kill(signal.SIGKILL)
        await_silence(units)  # the devices know at once that nobody looks after what they send
        for device in devices:
            device.kill(signal.SIGTERM)
        assert [device.wait() for device in devices] == [130, 130]
