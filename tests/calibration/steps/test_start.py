"""How late transmissions begin, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.onset import find_onset
from calibration.probe import floor_of, probe_for
from calibration.steps.start import Start
from radio.fading import Fading
from radio.impairments import Impairments
from radio.surroundings import Surroundings, from_profile


def bench(seed: int, jitter_s: float = 0.0, timing: float = 0.0, devices: int = 1) -> LoopbackRig:
    settings = Impairments(start_jitter_s=jitter_s, oscillator_ppm=10.0)
    return LoopbackRig(
        Surroundings(Fading(devices, seed, "static"), 1e-3, seed, timing_samples=timing, impairments=settings)
    )


def test_latency_jitter_and_the_latest_start_are_covered() -> None:
    """Uniform in [0, J] after the start offset that a device keeps."""
    hits, stations = np.zeros(3), 20
    for seed in range(stations):
        jitter = np.random.default_rng(seed).uniform(1e-3, 1e-2)
        rig = bench(seed, jitter, timing=500.0)
        outcome = Start().run(rig, {})
        (fact,) = outcome.facts["device"]
        kept = rig.medium.lags[0] / 1e6
        for index, (name, truth) in enumerate(
            [("latency", kept + jitter / 2), ("jitter", jitter / np.sqrt(12)), ("latest", kept + jitter)]
        ):
            hits[index] += abs(fact[f"{name}_s"] - truth) <= 1.96 * fact[f"{name}_error_s"]
        assert not outcome.failed and fact["enough"]
    assert (hits >= 17).all(), hits  # 95 % of 20 is 19 +- 1


def test_a_start_that_is_always_the_same_is_known_to_the_sample() -> None:
    for seed in range(20):
        rig = bench(seed, timing=2000.0)
        (fact,) = Start(repeats=4).run(rig, {}).facts["device"]
        assert abs(fact["latency_s"] - rig.medium.lags[0] / 1e6) <= 1.96 * fact["latency_error_s"] < 2e-6


def test_starts_beyond_the_guard_time_are_named() -> None:
    rig = bench(5, jitter_s=0.04)
    rig.guard_samples = 10_000
    outcome = Start().run(rig, {})
    texts = [f.quantity for f in outcome.findings if f.verdict == "fail"]
    assert any("long after the guard time" in text for text in texts)
    assert not outcome.facts["device"][0]["enough"]
    rig.guard_samples = 30_000
    late = [f for f in Start().run(rig, {}).findings if f.verdict == "fail"]
    assert late and all("start_lag_s" in f.advice for f in late)


def test_a_silent_device_and_a_saturated_receiver_are_findings() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 9))
    rig.medium.gains[0] = 0.0
    found = [f for f in Start(3).run(rig, {}).findings if f.verdict == "fail"]
    assert [(f.subject, f.quantity) for f in found] == [("device-0", "not heard")]
    rig.receiver.receive_gain_db += 40.0
    assert any("saturated" in f.quantity for f in Start(3).run(rig, {}).findings)


def test_a_weak_device_is_not_late_for_being_weak() -> None:
    outcome = Start().run(LoopbackRig(from_profile("textbook", 2, 5)), {})
    assert not outcome.failed and all(one["enough"] for one in outcome.facts["device"])


@pytest.mark.libiio
def test_virtual_plutos_start_when_the_receiver_says(virtual: Callable[..., Any]) -> None:
    """The emulator knows the instant; a start that falls among the stale blocks was on from the first sample."""
    rig, plutos = virtual(2, clock="free")
    probe, floor, n = probe_for(rig), floor_of(rig), 75_000
    for _ in range(8):
        with rig.on_air({0: probe.wave()}):
            samples = rig.more(n)
            (wave,) = plutos.units[0]._waves
        found = find_onset(samples - floor.dc, probe.cycles, rate_sps=1e6, noise_variance=floor.noise_variance,
                           offset_max_hz=rig.offset_max_hz)  # fmt: skip
        assert found is not None
        began = rig.now_s - (n - found.sample) / 1e6
        assert abs(began - wave.start_s) <= 1.96 * found.standard_error / 1e6 or (
            found.sample == 0 and wave.start_s < began
        )


@pytest.mark.libiio
def test_on_virtual_plutos(virtual: Callable[..., Any]) -> None:
    """Uniform in 50 ms after a queue of two blocks."""
    rig, _ = virtual(2, clock="shared")
    outcome = Start(12).run(rig, {})
    (fact,) = outcome.facts["device"]
    assert not outcome.failed and 0.03 < fact["latest_seen_s"] < 0.05
    assert abs(fact["latency_s"] - (0.025 + 4096e-6)) < 3 * fact["latency_error_s"]
