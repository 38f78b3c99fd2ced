"""Channel gains and how they move, on loopback and on virtual Plutos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.finding import Estimate
from calibration.loopback_rig import LoopbackRig
from calibration.steps.channel import Channel
from radio.fading import Fading
from radio.impairments import Impairments
from radio.interference import Interferer
from radio.profiles import PROFILES
from radio.surroundings import Surroundings, from_profile


def bench(seed: int = 4, devices: int = 3, shared: bool = False, said: bool | None = None, **vices: Any) -> LoopbackRig:
    place = from_profile("pluto-bench", devices, seed, shared_clock=shared)
    place = replace(place, impairments=replace(place.impairments, start_jitter_s=0.002, **vices))
    return LoopbackRig(place, shared_clock=said)


def gain_db(rig: LoopbackRig, k: int) -> float:
    """Of a full-scale tone at small signals, dBFS of the ADC: channel, attenuator, both mixers, receiver."""
    medium = rig.medium
    mixers = medium._transmit_mixers[k].mu * medium._receive_mixer.mu
    step = medium._step_gains[k].amplitude(rig.transmitters[k].transmit_gain_db)
    return 20 * math.log10(abs(medium.gains[k] * mixers) * step) + rig.receiver.receive_gain_db


def test_gains_are_covered_and_a_still_channel_is_still() -> None:
    covered = []
    for seed in range(6):
        rig = bench(seed, devices=5)
        outcome = Channel(span_s=2.0).run(rig, {})
        for k, fact in enumerate(outcome.facts["device"]):
            covered.append(Estimate(fact["gain_dbfs"], fact["gain_error_db"]).covers(gain_db(rig, k)))
            assert not fact["moves"] and fact["amplitude_std"] < 5e-3
        assert not outcome.failed and rig.medium.on_air == ()
    assert np.mean(covered) > 0.88
    assert len(outcome.pictures) == 2
    assert outcome.series["gains_3"].shape == outcome.series["times_s_3"].shape


def test_phases_hold_on_one_reference_and_a_wrong_clock_is_named() -> None:
    steady = [one for one in Channel(1.0).run(bench(shared=True), {}).findings if "phase change" in one.quantity]
    assert len(steady) == 3 and {one.verdict for one in steady} == {"pass"}
    wrong = [one for one in Channel(1.0).run(bench(said=True), {}).findings if "phase change" in one.quantity]
    assert {one.verdict for one in wrong} == {"fail"} and "wrong clock" in wrong[0].advice
    free = Channel(1.0).run(bench(), {})
    assert not any("phase change" in one.quantity for one in free.findings)


def test_a_moving_channel_has_a_coherence_time() -> None:
    fading = Fading(2, 3, "rayleigh", doppler_hz=2.0, round_s=1.0)
    rig = LoopbackRig(Surroundings(fading, 1e-4, 3, impairments=Impairments(oscillator_ppm=5.0)))
    outcome = Channel().run(rig, {})
    for fact in outcome.facts["device"]:
        assert fact["moves"] and fact["coherence_s"] == pytest.approx(0.242 / 2.0, rel=1.2)
        assert abs(fact["coherence_s"] - 0.121) < 4 * fact["coherence_error_s"]
        assert fact["change"][-1] > 5 * fact["change"][0]
    judged = [one for one in outcome.findings if "coherence" in one.quantity]
    assert {one.verdict for one in judged} == {"fail"} and all(one.advice for one in judged)


def test_what_is_wrong_is_named() -> None:
    rig = bench()
    rig.medium.gains[1] = 0.0
    outcome = Channel(1.0).run(rig, {})
    assert [(one.subject, one.quantity) for one in outcome.findings if one.verdict == "fail"] == [
        ("device-1", "not heard")
    ]
    assert "gains_0" in outcome.series and "gains_1" not in outcome.series
    rig.medium.interferers.append(Interferer(0.02, -300e3))
    warned = [one for one in Channel(1.0).run(rig, {}).findings if "interference" in one.quantity]
    assert warned and all(one.verdict == "warn" and one.advice for one in warned)
    rig = bench()
    rig.receiver.receive_gain_db += 60.0
    outcome = Channel(1.0).run(rig, {})
    assert sum(one.quantity == "the receiver is saturated" for one in outcome.findings) >= 3 and not outcome.pictures


def test_devices_that_compress_are_measured_where_they_are_straight() -> None:
    rig = bench(compression_dbfs=-15.0)
    linear = 10 ** (-30 / 20)
    facts = Channel(1.0).run(rig, {"power_sweep": {"device": [{"linear_amplitude": linear}] * 3}}).facts["device"]
    for k, fact in enumerate(facts):
        assert fact["amplitude"] == linear
        assert abs(fact["gain_dbfs"] - gain_db(rig, k)) < 4 * fact["gain_error_db"]


@pytest.mark.libiio
def test_virtual_plutos(virtual: Callable[..., Any]) -> None:
    place = PROFILES["pluto-bench"]
    profile = replace(place, impairments=replace(place.impairments, start_jitter_s=0.002))
    rig, plutos = virtual(4, clock="free", profile=profile, start_lag_s=0.003)
    outcome = Channel(span_s=3.0).run(rig, {})
    air, gain = plutos.units[0].air, rig.receiver.receive_gain_db - 30.0
    for k, fact in enumerate(outcome.facts["device"]):
        path = abs(air.paths(3, 0.0)[k].sum() * air._mixers[k].mu * air.receive_mixers[3].mu) * 2047 / 2048
        truth = 20 * math.log10(path * air._steps[k].amplitude(0.0)) + gain
        assert abs(fact["gain_dbfs"] - truth) < 4 * fact["gain_error_db"]
        assert not fact["moves"]
    assert not outcome.failed
