"""`pairzero calibrate` and runs with a profile, on the loopback: what is printed, kept, refused, checked and stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration import session as sessions
from calibration.profile import load_profile
from calibration.stand import on_loopback
from calibration.steps.alignment import Alignment
from calibration.steps.channel import Channel
from calibration.steps.known_scalar import KnownScalar
from calibration.trial import Sweep
from fl.diagnostics import read_diagnostics
from fl.journal import read_history
from fl.surroundings import described, surroundings_of
from radio.cell import SampledMode

SWEEPS: dict[SampledMode, Sweep] = {"coherent": Sweep(512, 256, 6, 12), "energy": Sweep(2048, 1024, 3, 3)}
STEPS = (Alignment(window=1024), Channel(span_s=1.0), KnownScalar(SWEEPS))
STILL = {
    "radio.fading": "static", "radio.snr_db": 40, "radio.offset_hz": 0, "radio.timing_samples": 0, "learning.rounds": 5,
    "run.evaluate_every": 50, "task.test_examples": 20,
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions.in_order, "__defaults__", ((), STEPS))


@pytest.fixture
def file(make_experiment: Any, tmp_path: Path) -> Path:
    path = tmp_path / "e.toml"
    path.write_text(make_experiment(STILL).to_toml())
    return path


@pytest.fixture(scope="module")
def measured(make_experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of that experiment, without the channel."""
    experiment = make_experiment(STILL)
    folder = tmp_path_factory.mktemp("sessions") / "s"
    with on_loopback(surroundings_of(experiment), described(experiment), "tiny") as stand:
        sessions.Session(folder, stand, [STEPS[0], STEPS[2]]).run()
    return folder


@pytest.fixture
def session(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "s"))


def test_a_session_on_the_loopback(pairzero: Any, file: Path, tmp_path: Path) -> None:
    done = pairzero("calibrate", "--loopback", file)
    assert done.code == 0, done.err
    for text in (
        "tiny: 3 devices and a receiver, 3 steps",
        "pass    alignment",
        "recommended: coherent mode",
        f"use it with: --profile {Path('calibrations') / 'tiny'} --set",
        "report:",
    ):
        assert text in done.out, done.out
    folder = tmp_path / "calibrations" / "tiny"
    assert (folder / "report.html").is_file() and load_profile(folder).settings["devices"] == 3
    shown = pairzero("calibrate", "diff", folder, folder)
    assert shown.code == 0 and "0 of " in shown.out
    weak = ["--set", "radio.snr_db=30", "--steps", "known_scalar", "--quiet"]
    assert pairzero("calibrate", "--loopback", file, *weak).code == 0
    shown = pairzero("calibrate", "diff", folder, folder.with_name("tiny-2"))
    assert "known scalar: error of the sum, rms, coherent: " in shown.out and "settings: " in shown.out
    shown = pairzero("calibrate", "show", folder / "profile.toml")
    assert shown.code == 0 and "spread of the received levels" in shown.out and "report.html" in shown.out
    exported = pairzero("calibrate", "export", folder, "still")
    assert exported.code == 0 and (tmp_path / "still.npz").is_file() and (tmp_path / "still.sigmf-meta").is_file()
    replayed = ["--set", "radio.channel=still.npz", "--set", "radio.fading=rayleigh", "--set", "learning.rounds=1"]
    assert pairzero("run", file, *replayed, "--out", "replayed", "--quiet").code == 0


def test_what_is_asked_wrongly(pairzero: Any, file: Path, session: Path) -> None:
    for words, message in (
        ([], "--station FILE"),
        (["--loopback", file, "--station", "s.toml"], "exclude each other"),
        (["--loopback", file, "--allow-tx"], "--allow-tx without --station"),
        (["--loopback", file, "--steps", "chanel"], "did you mean channel"),
        (["--loopback", file, "--out", session], "already holds a session"),
        (["--loopback", file, "--set", "run.seed=12", "--resume", session], "another bench"),
    ):
        done = pairzero("calibrate", *words)
        assert done.code == 2 and message in done.err, (words, done.err)


def test_steps_are_added_to_a_session(pairzero: Any, file: Path, session: Path) -> None:
    made = load_profile(session)
    assert "channel" not in made.facts
    done = pairzero("calibrate", "--loopback", file, "--steps", "channel", "--resume", session)
    assert done.code == 0 and "alignment" not in done.out.partition("profile:")[0].replace("alignment,", "")
    assert set(load_profile(session).facts) == {"alignment", "channel", "known_scalar"}


def test_a_run_with_a_profile(pairzero: Any, file: Path, session: Path, tmp_path: Path) -> None:
    shown = pairzero("plan", file, "--profile", session)
    assert "expected error of the sum" in shown.out and "every 20 rounds" in shown.out
    done = pairzero("run", file, "--profile", session, "--set", "radio.check_every=2", "--out", "run")
    assert done.code == 0, done.err
    assert "a public scalar checks the radio every 2 rounds" in done.out and "the profile expected" in done.out
    run = tmp_path / "run"
    lines = read_diagnostics(run)
    assert ["check" in line for line in lines] == [True, False, True, False, True]
    assert all(line["check"]["outside"] == "" and abs(line["check"]["noise_db"]) < 1 for line in lines[::2])
    assert all(len(line["received"]) == 1 for line in lines)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["checks"] == 3 and summary["channel_uses"] == 5 + 3
    assert summary["expected_nmse_db"] < 0 and load_profile(run / "profile.toml") == load_profile(session)
    # three devices are charged for five rounds, and nobody for a check
    charges = (run / "charges.jsonl").read_text().splitlines()
    assert len(charges) == 15 and all('"times":1}' in charge for charge in charges)


def test_a_profile_of_another_air_is_refused(pairzero: Any, file: Path, session: Path, tmp_path: Path) -> None:
    done = pairzero("run", file, "--set", "radio.snr_db=10", "--profile", session, "--out", "run")
    assert done.code == 2 and "snr_db is 10.0 and was 40.0" in done.err and "Calibrate again" in done.err
    assert not (tmp_path / "run").exists()
    assert "not found" in pairzero("run", file, "--profile", "none").err
    ideal = pairzero("run", file, "--set", "radio.mode=ideal", "--profile", session)
    assert ideal.code == 2 and "leave --profile out" in ideal.err


def test_a_radio_that_leaves_its_box_pauses_the_run(pairzero: Any, file: Path, session: Path, tmp_path: Path) -> None:
    """The profile is edited to be of a quieter radio, as if noise had risen since."""
    text = (session / "profile.toml").read_text()
    facts = load_profile(session).facts["known_scalar"]["coherent"]
    quiet = session.with_name("quiet.toml")
    quiet.write_text(
        text.replace(f"noise_variance = {facts['noise_variance']}", f"noise_variance = {facts['noise_variance'] / 10}")
    )
    done = pairzero("run", file, "--profile", quiet, "--set", "radio.check_every=1", "--out", "run")
    assert done.code == 3, done.err
    assert "left its calibrated box, in 2 checks in a row: the noise is +" in done.err
    assert "pairzero run --resume run --profile PROFILE" in done.err
    run = tmp_path / "run"
    stop = read_history(run).stop
    assert stop is not None and stop["reason"] == "radio"
    assert len(read_diagnostics(run)) == 2 and np.isfinite(read_diagnostics(run)[1]["check"]["noise_db"])
    resumed = pairzero("run", "--resume", run, "--profile", session)
    assert resumed.code == 0, resumed.err
    summary = json.loads((run / "summary.json").read_text())
    assert summary["rounds"] == 5 and summary["finished"]
