"""Whole tiny runs in every radio mode, at both fidelities and in the named surroundings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fl import session
from fl.config import Experiment, load
from fl.crew import LocalCrew
from fl.diagnostics import read_diagnostics
from fl.guarantee import guarantee_of
from fl.journal import Journal, read_history
from fl.proposal import limits_of
from fl.rounds import train
from fl.run import execute
from fl.run_folder import create
from fl.transport import InProcess
from radio.errors import InputError

MODES = ("ideal", "tdma", "coherent", "energy", "vote")
LOUD = {"snr_db": 60.0, "window": 1024, "pilot_window": 1024}
QUICK = {"learning.rounds": 3, "task.test_examples": 10, "run.evaluate_examples": 10, "learning.parameters": ["*norm*"]}


def run(make_experiment, folder, **radio) -> tuple[dict, list[dict], list]:
    payload = {"learning.payload": "sign"} if radio.get("mode") == "vote" else {}
    experiment = make_experiment({**QUICK, **payload, **{f"radio.{key}": value for key, value in radio.items()}})
    made = create(folder / "run", experiment)
    summary = execute(made, quiet=True)
    return summary, read_diagnostics(made.path), read_history(made.path).updates


@pytest.mark.parametrize("mode", MODES)
def test_a_run_in_every_mode(make_experiment, tmp_path, mode) -> None:
    summary, lines, updates = run(make_experiment, tmp_path, mode=mode, **LOUD)
    assert summary["finished"] and summary["rounds"] == 3 and summary["epsilon"] <= 0.5
    assert len(lines) == 3 + summary["erased"]
    assert summary["channel_uses"] == summary["slots"] * {"tdma": 3, "energy": 2, "vote": 2}.get(mode, 1)
    if mode == "vote":
        assert all(abs(line["received"][0]) == sum(line["active"]) for line in lines if not line["erased"])
        assert all(abs(line["truth"][0]) in (0.0, 3.0) for line in lines)
        # A vote moves by the learning rate, whatever the payloads' size.
        rates = [1e-2 * 0.5 * (1 + math.cos(math.pi * t / 3)) for t in range(3)]
        assert [abs(update.moves[0].amount) for update in updates if update.moves] == pytest.approx(rates)
    elif mode != "ideal":
        assert summary["aggregate_nmse_db"] < 0.0


@pytest.mark.parametrize("mode", MODES)
def test_the_round_loop_at_symbol_fidelity(make_experiment, tmp_path, mode) -> None:
    changes = {"radio.mode": mode, "radio.fidelity": "symbol", **{f"radio.{k}": v for k, v in LOUD.items()}}
    changes |= {"learning.payload": "sign"} if mode == "vote" else {}
    experiment = make_experiment({**QUICK, **changes})
    task = session.experiment_task(experiment)
    replica = session.build_replica(experiment, task)
    guarantee = guarantee_of(experiment)
    devices = session.build_devices(experiment, task, replica.likelihood, guarantee, tmp_path / "ledger")
    air, journal, slots = session.build_air(experiment), Journal(tmp_path, {"run_id": "r"}), []
    train(
        experiment.run.seed,
        experiment.learning,
        limits_of(experiment, guarantee),
        InProcess("r", LocalCrew(replica, devices), devices, air),
        air,
        journal,
        slots.append,
        lambda: False,
    )
    session.close_ledgers(devices)
    assert journal.history.rounds == 3
    for slot in slots:
        if slot.received.erased or mode == "vote":
            continue
        error = abs(slot.received.total[0] - slot.truth.total[0])
        assert error <= 6 * math.sqrt(slot.received.variance[0]) + 0.15 * np.abs(slot.truth.sent).sum()


def test_a_run_on_free_running_radios(make_experiment, tmp_path) -> None:
    summary, _, _ = run(make_experiment, tmp_path, mode="energy", profile="pluto-bench", window=2048, pilot_window=2048)
    assert summary["rounds"] == 3 and summary["erased"] == 0 and summary["aggregate_nmse_db"] < -15.0


def test_a_profile_and_its_contradiction(make_experiment) -> None:
    experiment = make_experiment({"radio.profile": "textbook", "radio.mode": "energy"})
    assert experiment.radio.described == "energy mode, profile textbook"
    symbols = make_experiment({"radio.profile": "pluto-bench", "radio.mode": "energy", "radio.fidelity": "symbol"})
    assert symbols.radio.described.endswith("(its gains, noise and offsets; no impairments of radios)")
    assert Experiment().radio.described == "coherent mode, rayleigh fading, SNR 20 dB at full scale"
    with pytest.raises(InputError, match=r"radio.snr_db = 40.0 beside radio.profile = 'textbook'"):
        make_experiment({"radio.profile": "textbook", "radio.snr_db": 40})


def test_impairments_of_an_experiment_are_kept_shown_and_checked(make_experiment, tmp_path) -> None:
    experiment = make_experiment({"radio.impairments": {"agc": True, "lo_leakage_dbfs": -40, "dc_offset_dbfs": False}})
    assert experiment.radio.described.endswith("with agc = True, lo_leakage_dbfs = -40.0, dc_offset_dbfs = False")
    (tmp_path / "copy.toml").write_text(experiment.to_toml())
    assert load(tmp_path / "copy.toml") == experiment
    with pytest.raises(InputError, match="'hum' is no impairment; allowed: oscillator_ppm"):
        make_experiment({"radio.impairments": {"hum": 1.0}})
    with pytest.raises(InputError, match="tap_delays_s"):
        make_experiment({"radio.profile": "textbook", "radio.tap_delays_s": [0.0]})
