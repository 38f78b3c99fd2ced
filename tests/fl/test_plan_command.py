"""`pairzero plan`: figures by hand, refusals like the run's, and no radio touched."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl.config import Experiment, load
from fl.plan import plan_run
from fl.rehearsal import rehearse
from fl.station import bench_for
from privacy.accounting import Charge, epsilon
from radio.station import StationFile, load_station

ROOT = Path(__file__).parents[2]
DEVICES = 3

STATION = """
[station]
name = "nobody"
clock = "shared"
lo_hz = 868.3e6
rate_sps = 550e3
receive_gain_db = 20
transmit_gain_db = -40
start_lag_s = 0.02
kernel_blocks = 3
block_samples = 1024

[permit]
band_hz = [868.0e6, 868.6e6]
max_eirp_dbm = -30
duty = 0.01

[receiver]
uri = "ip:127.0.0.1:1"
"""
UNITS = "".join(f'\n[[device]]\nuri = "ip:127.0.0.1:{2 + k}"\ncable_loss_db = {k}\n' for k in range(4))


@pytest.fixture
def station(tmp_path: Path) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(STATION + UNITS)
    return path


@pytest.fixture
def file(make_experiment: Any, tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(make_experiment({"radio.window": 1024, "learning.perturbations": 2}).to_toml())
    return path


def blocks(n: int) -> float:
    """Seconds of a reception of n samples: a ring of 3, one more that may be half full, and those needed."""
    return (3 + 1 + math.ceil(n / 1024)) * 1024 / 550e3


def test_the_plan_of_a_coherent_run(pairzero: Any, file: Path, station: Path, tmp_path: Path) -> None:
    done = pairzero("plan", file, "--station", station, "--json", tmp_path / "plan.json")
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "plan.json").read_text())
    # a tone is held; the pilots of two sweeps, and a slot for each scalar and for the reference, have 32 samples of lead-in
    slots, pilot, payload = found["air_time"]["slots"], blocks(256 + 32), blocks(1024 + 32)
    assert slots == {"idle": 1, "pilot": 2 * DEVICES, "payload": 2, "reference": 1}
    assert found["air_time"]["on_air_s"] == pytest.approx(2 * pilot + 3 * payload)
    least = blocks(1024) + 2 * DEVICES * pilot + 3 * payload
    assert least <= found["air_time"]["seconds"] + 1e-9 <= least + blocks(11_000 + 2 * 32) + 1e-9
    assert (found["lo_hz"], found["rate_sps"], found["receive_gain_db"]) == (868.3e6, 550e3, 20)
    assert [d["eirp_dbm"] for d in found["devices"]] == [7.0 - 40.0 - k for k in range(DEVICES)]
    assert {d["permitted_dbm"] for d in found["devices"]} == {-30.0}
    assert "1 of the station's devices are not opened" in found["notes"][1]
    # duty: of a round's time, which is the radios' and the machine's
    round_s = found["air_time"]["seconds"] + found["pace"]["round_s"]
    assert found["duty"]["share"] == pytest.approx(found["air_time"]["on_air_s"] / round_s)
    assert found["duty"]["stops_after"] is None  # six rounds never take 36 s
    assert found["duration_s"] == pytest.approx(6 * round_s + found["pace"]["evaluation_s"])
    # privacy, by the accountant
    privacy, experiment = found["privacy"], load(file)
    charge = Charge(experiment.sampling_rate, privacy["noise_multiplier"])
    assert privacy["epsilon_end"] == pytest.approx(epsilon([(charge, 6)], 1e-5))
    assert privacy["epsilon_end"] < privacy["epsilon_target"] == 0.5
    assert (privacy["releases"], privacy["spare_slots"]) == (14, 8)
    for text in (
        "868.3 MHz",
        "-34.0 dBm",
        "every example",
        "own-noise",
        "permitted: 1 % of 3600 s",
        "runs/tiny/ledger",
    ):
        assert text in done.out, text
    assert not (tmp_path / "runs").exists()


def test_a_duty_that_will_stop_the_run_is_foretold(file: Path, station: Path) -> None:
    long = load(file, ["learning.rounds=20000", "radio.mode=energy", "privacy.unit=device"])
    found = plan_run(long, bench_for(long, load_station(station)))
    assert found.duty is not None and found.air_time is not None
    assert found.duty.stops_after == int(36.0 / found.air_time.on_air_s)


@pytest.mark.parametrize(
    ("mode", "slots"),
    [
        ("energy", {"idle": 2, "pilot": DEVICES, "reference": 1, "payload": 2}),  # 0.5 is silent in the second of them
        ("tdma", {"idle": 1, "pilot": DEVICES, "payload": DEVICES}),
        ("vote", {"idle": 1, "payload": 1}),
    ],
)
def test_slots_of_the_other_modes(mode: str, slots: dict[str, int], station: Path) -> None:
    experiment = _experiment(mode, devices=DEVICES)
    found = rehearse(experiment, load_station(station))
    assert found.slots == slots
    guard = 11_000 + 32
    sent = {
        "energy": 2 * blocks(1024 + guard) + blocks(512 + guard),
        "tdma": 2 * blocks(1024 + guard),
        "vote": blocks(1024 + guard),
    }
    assert found.on_air_s == pytest.approx(sent[mode])


def _experiment(mode: str, devices: int = 2, perturbations: int = 1) -> Experiment:
    payload = "sign" if mode == "vote" else "value"
    return Experiment.model_validate(
        {
            "learning": {"devices": devices, "perturbations": perturbations, "optimiser": "sgd", "payload": payload},
            "radio": {"mode": mode, "window": 1024, "pilot_window": 1024, "fading": "static", "snr_db": 40},
        }
    )


@pytest.mark.parametrize("mode", ["coherent", "energy", "tdma", "vote"])
def test_more_scalars_take_what_was_rehearsed(mode: str) -> None:
    """Linear in the number of scalars: five, from one and two, are five."""
    from fl import rehearsal

    told = rehearse(_experiment(mode, perturbations=5))
    whole = rehearsal._round(_experiment(mode, perturbations=5), None, 5)
    assert told.slots == whole.slots and told.samples == whole.samples
    assert told.seconds == pytest.approx(whole.seconds) and told.on_air_s == pytest.approx(whole.on_air_s)


def test_the_rehearsal_is_what_a_station_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receptions of a virtual station's second round, counted at the receiver."""
    from fl.station import open_air
    from radio.emulator.server import serve
    from radio.pluto.transceiver import PlutoRadio

    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as plutos:
        *devices, receiver = plutos.uris
        file = StationFile.model_validate(
            {
                "station": {
                    "clock": "shared",
                    "lo_hz": 915e6,
                    "rate_sps": 600e3,
                    "receive_gain_db": 30,
                    "transmit_gain_db": -10,
                },
                "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1},
                "receiver": {"uri": receiver},
                "device": [{"uri": uri} for uri in devices],
            }
        )
        experiment = _experiment("coherent")
        heard: list[int] = []
        receive = PlutoRadio.receive
        monkeypatch.setattr(PlutoRadio, "receive", lambda radio, n: (heard.append(n), receive(radio, n))[1])
        air = open_air(experiment, bench_for(experiment, file))
        try:
            for number in range(2):
                heard.clear()
                received = air.aggregate(
                    number, np.full((2, 1), 0.5), air.mode.plan(air.sound(number), 1.0, truncation=0.05)
                )
                assert not received.erased
        finally:
            air.close()
        told = rehearse(experiment, file)
        assert sum(heard) == told.samples
        each = [(4 + 1 + math.ceil(n / 4096)) * 4096 / 600e3 for n in heard]
        assert told.seconds == pytest.approx(sum(each))


def test_the_loopback_and_airs_without_samples(pairzero: Any, file: Path, tmp_path: Path) -> None:
    assert pairzero("plan", file, "--json", tmp_path / "loop.json").code == 0
    loop = json.loads((tmp_path / "loop.json").read_text())
    assert loop["air_time"]["slots"]["payload"] == 2 and loop["devices"] == [] and loop["duty"] is None
    done = pairzero(
        "plan", file, "--set", "radio.mode=ideal", "--set", "privacy.enabled=false", "--json", tmp_path / "i.json"
    )
    assert done.code == 0 and "nothing is charged" in done.out
    ideal = json.loads((tmp_path / "i.json").read_text())
    assert ideal["air_time"] is None and ideal["privacy"] is None and ideal["ledger"] == ""


def test_what_a_run_refuses_is_refused(pairzero: Any, file: Path, station: Path, tmp_path: Path) -> None:
    station.write_text(station.read_text().replace('"shared"', '"free"'))
    for words, message in (
        (["--station", station], "feed all of them one 40 MHz reference"),
        (["--station", station, "--set", "learning.devices=9"], "learning.devices = 9, but station nobody has 4"),
        (["--station", tmp_path / "none.toml"], "none.toml not found"),
        (["--allow-tx"], "--allow-tx without --station"),
        (["--set", "model.source=./nothing"], "no such folder"),
        (["--set", "run.first_order=true", "--set", "task.public=false"], "public data only"),
    ):
        for command in ("plan", "run"):
            done = pairzero(command, file, *words)
            assert done.code == 2 and message in done.err, (command, message)
    assert not list((tmp_path / "runs").glob("*"))


def test_a_ledger_with_too_little_left_is_refused_and_left_as_it_is(pairzero: Any, file: Path, tmp_path: Path) -> None:
    ledgers = tmp_path / "ledgers"
    words = ["--set", "task.public=false", "--set", f"privacy.ledger={ledgers}", "--set", "radio.mode=ideal"]
    first = pairzero("plan", file, *words, "--json", tmp_path / "first.json")
    assert first.code == 0 and not ledgers.exists()
    found = json.loads((tmp_path / "first.json").read_text())
    assert (found["ledger"], found["ledger_state"]) == (str(ledgers), "new")
    assert pairzero("run", file, *words, "--quiet").code == 0
    before = {path: path.read_bytes() for path in ledgers.iterdir()}
    spent = pairzero("plan", file, *words)
    assert spent.code == 2 and "more rounds of this run's kind, but the run needs 14" in spent.err
    assert {path: path.read_bytes() for path in ledgers.iterdir()} == before


def test_disk_of_recordings(file: Path, station: Path) -> None:
    """Every slot that is recorded has what is received in a round, 4 bytes a sample; 20 erased ones at most come on top."""
    experiment = load(file, ["run.record_every=4"])
    found = plan_run(experiment, bench_for(experiment, load_station(station)))
    assert found.air_time is not None
    assert found.recording_bytes == (4 + 20) * 4 * found.air_time.samples  # of 14 slots: 0, 4, 8, 12
