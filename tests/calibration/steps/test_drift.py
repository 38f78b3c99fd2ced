"""Carriers over minutes, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.drift import Drift
from radio.emulator.reference import PERIOD_S
from radio.surroundings import from_profile

SHORT = Drift(duration_s=60.0, interval_s=4.0, samples=1 << 13)


def test_a_steady_drift_is_covered_and_takes_the_time_it_says() -> None:
    hits = devices = 0
    for seed in range(8):
        rig = LoopbackRig(from_profile("pluto-bench", 1, seed))
        outcome = SHORT.run(rig, {})
        for one, truth in zip(outcome.facts["device"], rig.medium.drifts_hz_per_s, strict=True):
            hits += abs(one["drift_hz_per_s"] - truth) <= 1.96 * one["drift_error_hz_per_s"]
            devices += 1
            assert one["drift_error_hz_per_s"] < 0.01 and not outcome.failed
        assert 60.0 < rig.radio_s < 61.0
    assert hits >= 0.85 * devices
    assert "offsets_hz_0" in outcome.series and len(outcome.pictures) == 2


def test_a_warming_crystal_is_told_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It drifts by A exp(-t / T). With T = 60 s and A = 700 Hz/s the last third of a minute, about 52 s, has 294 Hz/s, and
    0.1 ppm/s, 91.5 Hz/s, are reached after another T ln(294 / 91.5) = 70 s."""
    rig = LoopbackRig(from_profile("pluto-bench", 1, 3, shared_clock=True), shared_clock=False)
    medium, capture = rig.medium, rig.medium.capture

    def warming(n: int, gain_db: float) -> np.ndarray:
        medium.offsets_hz[0] = 700.0 * 60.0 * (1 - np.exp(-(medium.clock + n / 2) / 60e6)) - 2e4
        return capture(n, gain_db)

    monkeypatch.setattr(medium, "capture", warming)
    (now,) = [f for f in SHORT.run(rig, {}).findings if f.quantity == "drift at the end"]
    assert now.verdict == "fail" and now.estimate.value == pytest.approx(294, rel=0.02)
    assert "warming up: wait about 1.2 minutes" in now.advice


def test_wrong_conditions_are_findings() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 9))
    rig.medium.gains[1] = 0.0
    found = [f for f in SHORT.run(rig, {}).findings if f.verdict == "fail"]
    assert [(f.subject, f.quantity) for f in found] == [("device-1", "not heard")]


@pytest.mark.libiio
def test_virtual_plutos_wander_with_their_temperature(virtual: Callable[..., Any]) -> None:
    """A crystal's wander w sin(...) goes with a temperature of 36 + 2 sin(...) degrees: w L / 2 a degree."""
    rig, plutos = virtual(2, clock="free", seed=3)
    outcome = Drift(duration_s=0.9 * PERIOD_S, interval_s=30.0, samples=1 << 13).run(rig, {})
    (one,) = outcome.facts["device"]
    reference = plutos.units[0].air.references[0]
    truth = reference._wander_ppm * 1e-6 * 915e6 / 2
    assert one["hz_per_c"] == pytest.approx(truth, rel=0.03)
    other = plutos.units[0].air.references[1]
    t = outcome.series["times_s_0"]
    wander = np.array([915e6 * ((1 + 1e-6 * reference.ppm(s)) / (1 + 1e-6 * other.ppm(s)) - 1) for s in t])
    assert np.abs(outcome.series["offsets_hz_0"] - wander).max() < 0.5
    assert len(one["tau_s"]) >= 2 and one["tau_s"][0] == pytest.approx(30.0, abs=0.1)
