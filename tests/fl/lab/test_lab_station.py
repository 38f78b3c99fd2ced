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
from fl.lab import messages as m
from fl.lab import server as lab_server
from fl.lab.link import Frame, ServerLink
from fl.run_folder import create
from fl.station_log import sessions_of
from radio.emulator.server import Plutos, serve

Make = Callable[..., Experiment]
SETTINGS = {"learning.devices": 2, "learning.rounds": 4, "radio.window": 1024, "task.test_examples": 20}
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


class Recording(ServerLink):
    """A server's link that keeps what it is told."""

    heard: list[Frame] = []

    def receive(self, timeout_s: float) -> Frame | None:
        frame = super().receive(timeout_s)
        if frame is not None:
            self.heard.append(frame)
        return frame


def test_coherent_and_the_server_is_told_nothing_but_words(
    lab: Any, make_experiment: Make, units: Plutos, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = station(lab.folder, units)
    monkeypatch.setattr(lab_server, "ServerLink", Recording)
    Recording.heard = []
    devices: list[Any] = []

    def say(line: str) -> None:
        if line.startswith("listening at "):
            lab.endpoint = line.split()[2]
            devices.extend(lab.device(k, "--station", file) for k in range(2))

    folder = create(lab.run, make_experiment(SETTINGS), station=file)
    summary = lab_server.serve(folder, lab_server.Setup("tcp://127.0.0.1:*", lab.keys, 60.0), say, quiet=True)
    assert summary["finished"] and summary["rounds"] == 4 and summary["station"] == "three"
    for device in devices:
        assert device.wait() == 0, device.printed
        assert f"digest of the weights {summary['params_digest']}" in device.printed
    assert summary["params_digest"] == replayed(lab.run)
    await_silence(units)
    (kept,) = sessions_of(lab.run)
    assert kept["begin"]["receiver"]["serial"] == "virtual-00" and kept["end"] is not None
    lines = [json.loads(line) for line in (lab.run / "diagnostics.jsonl").read_text().splitlines()[1:]]
    assert all(line["clipped"] == [None, None] and "truth" not in line for line in lines)

    # Of all that devices have said, nothing has room for a number that was computed from data.
    said = [m.from_device(frame.frame) for frame in Recording.heard]
    assert {type(message) for message in said} <= {
        m.Hello, m.Ready, m.Opened, m.Armed, m.Cued, m.Digest, m.Ping, m.Status,
    }  # fmt: skip
    cued = [message for message in said if isinstance(message, m.Cued)]
    assert len(cued) > 4 * 2 * 5 and all(message.done for message in cued)
    assert [message.serial for message in said if isinstance(message, m.Hello)][:2] == ["virtual-01", "virtual-02"] or [
        message.serial for message in said if isinstance(message, m.Hello)
    ][:2] == ["virtual-02", "virtual-01"]


def test_energy_on_free_clocks(lab: Any, make_experiment: Make) -> None:
    with serve(3, clock="free", seed=6, host="127.0.0.1", port=0) as units:
        file = station(lab.folder, units, clock="free")
        experiment = lab.folder / "experiment.toml"
        experiment.write_text(make_experiment(SETTINGS | {"radio.mode": "energy"}).to_toml(), encoding="utf-8")
        server = lab.server(experiment, "--out", lab.run, "--station", file)
        devices = [lab.device(k, "--station", file) for k in range(2)]
        assert server.wait() == 0, server.printed
        digest = json.loads((lab.run / "summary.json").read_text(encoding="utf-8"))["params_digest"]
        assert digest == replayed(lab.run)
        for device in devices:
            assert device.wait() == 0, device.printed
            assert f"digest of the weights {digest}" in device.printed
        await_silence(units)
