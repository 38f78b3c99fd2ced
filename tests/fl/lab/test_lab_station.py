"""Whole runs of a server and devices, each a process with a radio of its own: virtual Plutos, the real driver."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fl import session
from fl.config import Experiment, load
from fl.journal import read_history
from fl.station_log import sessions_of
from radio.emulator.server import Plutos, serve

pytestmark = pytest.mark.libiio

Make = Callable[..., Experiment]
# six rounds: what they cost is known to the processes that these are forked from
SETTINGS = {"learning.devices": 2, "radio.window": 1024, "task.test_examples": 20}
STATION = """
[station]
name = "three"
clock = "{clock}"
lo_hz = 915e6
rate_sps = 1e6
receive_gain_db = 30
transmit_gain_db = -10
block_samples = 2112
kernel_blocks = 1
timeout_s = 5.0

[permit]
band_hz = [902e6, 928e6]
max_eirp_dbm = 0
duty = 1

[receiver]
uri = "{uris[0]}"

[[device]]
uri = "{uris[1]}"

[[device]]
name = "device-1"
uri = "{uris[2]}"
"""


@pytest.fixture(scope="module")
def units() -> Iterator[Plutos]:
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as plutos:
        yield plutos


def silent(units: Plutos) -> bool:
    """As the units themselves see it."""
    return all(u.transceiver.settings.tx_gain_db == -89.75 and u.transmit_buffer is None for u in units.units)


def await_silence(units: Plutos) -> None:
    deadline = time.monotonic() + 10.0
    while not silent(units) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert silent(units)


def replayed(run: Path) -> str:
    experiment = load(run / "experiment.toml")
    replica = session.build_replica(experiment, session.experiment_task(experiment))
    replica.replay(read_history(run).updates)
    return replica.digest()


def station(folder: Path, units: Plutos, clock: str = "shared") -> Path:
    file = folder / "station.toml"
    file.write_text(STATION.format(clock=clock, uris=units.uris), encoding="utf-8")
    return file


def carry_out(lab: Any, experiment: Experiment, file: Path, units: Plutos) -> list[str]:
    """A run with two devices to its end, with the same weights everywhere; what the devices printed."""
    written = lab.folder / "experiment.toml"
    written.write_text(experiment.to_toml(), encoding="utf-8")
    server = lab.server(written, "--out", lab.run, "--station", file)
    devices = [lab.device(k, "--station", file) for k in range(2)]
    assert server.wait() == 0, server.printed
    summary = json.loads((lab.run / "summary.json").read_text(encoding="utf-8"))
    assert summary["finished"] and summary["station"] == "three"
    assert summary["params_digest"] == replayed(lab.run)
    for device in devices:
        assert device.wait() == 0, device.printed
        assert f"digest of the weights {summary['params_digest']}" in device.printed
    await_silence(units)
    return [device.printed for device in devices]


def test_coherent_on_one_reference(lab: Any, make_experiment: Make, units: Plutos) -> None:
    carry_out(lab, make_experiment(SETTINGS), station(lab.folder, units), units)
    assert read_history(lab.run).erased == 0
    (kept,) = sessions_of(lab.run)
    assert kept["begin"]["receiver"]["serial"] == "virtual-00" and kept["end"] is not None
    lines = [json.loads(line) for line in (lab.run / "diagnostics.jsonl").read_text().splitlines()[1:]]
    # the server cannot know what was limited, nor how loud a payload was
    assert all(line["clipped"] == [None, None] and "truth" not in line for line in lines)
    active = [
        power for line in lines for power, on in zip(line["transmit_power_dbfs"], line["active"], strict=True) if on
    ]
    assert active and max(active) == pytest.approx(0.0, abs=1e-6)  # the weakest at its payload's peak


def test_energy_on_free_clocks(lab: Any, make_experiment: Make) -> None:
    with serve(3, clock="free", seed=6, host="127.0.0.1", port=0) as units:
        experiment = make_experiment(SETTINGS | {"radio.mode": "energy"})
        carry_out(lab, experiment, station(lab.folder, units, clock="free"), units)
