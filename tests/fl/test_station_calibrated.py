"""A station of virtual units from its calibration to a run with the profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calibration import session as sessions
from calibration.profile import load_profile
from calibration.steps.known_scalar import KnownScalar
from calibration.steps.receive_gain import ReceiveGain
from calibration.trial import Sweep
from fl.diagnostics import read_diagnostics
from radio.emulator.server import Plutos, serve

pytestmark = pytest.mark.libiio

STATION = """
[station]
name = "four"
lo_hz = 915e6
rate_sps = 600e3
receive_gain_db = 30
transmit_gain_db = -10
block_samples = 2048
kernel_blocks = 1
[permit]
band_hz = [902e6, 928e6]
max_eirp_dbm = 0
duty = 1
[receiver]
uri = "{receiver}"
"""


@pytest.fixture(scope="module")
def plutos() -> Iterator[Plutos]:
    with serve(4, clock="free", seed=5, host="127.0.0.1", port=0) as served:
        yield served


@pytest.fixture
def station(plutos: Plutos, tmp_path: Path) -> Path:
    *devices, receiver = plutos.uris
    path = tmp_path / "s.toml"
    path.write_text(STATION.format(receiver=receiver) + "".join(f'\n[[device]]\nuri = "{uri}"\n' for uri in devices))
    return path


def test_a_station_is_calibrated_and_runs_as_expected(
    pairzero: Any, make_experiment: Any, station: Path, plutos: Plutos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (ReceiveGain(samples=4096), KnownScalar({"energy": Sweep(8192, 4096, 4, 6)}))
    monkeypatch.setattr(sessions.in_order, "__defaults__", ((), steps))
    done = pairzero("calibrate", "--station", station, "--out", "s")
    assert done.code == 0, done.err
    assert "set receive_gain_db = " in done.out and "from here on at a receive gain of" in done.out
    profile = load_profile(tmp_path / "s")
    assert profile.receive_gain_db < 30 and profile.facts["known_scalar"]["energy"]["works"]
    assert [radio.serial for radio in profile.device] == ["virtual-00", "virtual-01", "virtual-02"]
    assert profile.recommendation is not None and profile.recommendation.mode == "energy"

    path = tmp_path / "e.toml"
    energy = {"radio.mode": "energy", "radio.window": 8192, "radio.pilot_window": 4096, "run.evaluate_every": 50}
    path.write_text(make_experiment(energy | {"learning.rounds": 6, "task.test_examples": 20}).to_toml())
    reed = ["--set", "radio.mapping=reed", "--set", "radio.check_every=2"]
    refused = pairzero("run", path, *reed, "--station", station)
    assert refused.code == 2 and "name the --profile" in refused.err
    done = pairzero("run", path, *reed, "--station", station, "--profile", "s", "--out", "run")
    assert done.code == 0, done.err
    assert f"receive_gain_db = {profile.receive_gain_db:g} of the profile is used instead of 30" in done.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["rounds"] == 6 and summary["erased"] == 0 and summary["checks"] == 3
    # Six sums share the wrong power of the pilots that are left out: one squared Gaussian, which six times in ten thousand is
    # 10.7 dB above its mean and as often 62 dB below.
    assert -62 < summary["aggregate_nmse_db"] - summary["expected_nmse_db"] < 10.7
    assert all(line["check"]["outside"] == "" for line in read_diagnostics(tmp_path / "run") if "check" in line)
    assert all(unit.transmit_buffer is None for unit in plutos.units)

    text = (tmp_path / "s" / "profile.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(text.replace("virtual-01", "virtual-09"))
    done = pairzero("run", path, "--station", station, "--profile", other, "--out", "none")
    assert done.code == 2 and "device 1 is serial virtual-01 and was virtual-09" in done.err
    assert not (tmp_path / "none").exists()
    moved = station.read_text().replace("lo_hz = 915e6", "lo_hz = 916e6")
    station.write_text(moved)
    done = pairzero("run", path, "--station", station, "--profile", "s", "--out", "none")
    assert done.code == 2 and "lo_hz is 916000000.0 and was 915000000.0" in done.err
