"""Mixers, leaks and offsets on loopback and on virtual Plutos, against what they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.finding import Estimate, Outcome
from calibration.loopback_rig import LoopbackRig
from calibration.steps.front_end import FrontEnd
from radio.frontend import Mixer
from radio.interference import Interferer
from radio.profiles import PROFILES
from radio.surroundings import from_profile

VICES: dict[str, Any] = {"iq_gain_db": 0.3, "iq_phase_deg": 1.5, "start_jitter_s": 0.002}


def bench(seed: int = 4, devices: int = 3, shared: bool = False, **vices: Any) -> LoopbackRig:
    place = from_profile("pluto-bench", devices, seed, shared_clock=shared)
    return LoopbackRig(replace(place, impairments=replace(place.impairments, **(VICES | vices))))


def inside(fact: dict[str, Any], key: str, truth_db: float) -> bool:
    if f"{key}_below_db" in fact:
        return bool(truth_db < fact[f"{key}_below_db"])
    return Estimate(fact[f"{key}_db"], fact[f"{key}_error_db"]).covers(truth_db)


def leak_db(mixer: Mixer) -> float:
    return 20 * math.log10(abs(mixer.leak / mixer.mu))


def verdicts(outcome: Outcome) -> set[str]:
    return {one.verdict for one in outcome.findings}


def test_everything_is_recovered_on_loopback() -> None:
    covered: dict[str, list[bool]] = {"dc": [], "image": [], "leak": [], "receiver": []}
    for seed in range(16):
        rig = bench(seed)
        outcome = FrontEnd().run(rig, {})
        facts, mixers = outcome.facts, rig.medium._transmit_mixers
        covered["dc"].append(inside(dict(facts), "dc", -40.0))
        covered["receiver"].append(inside(dict(facts), "image", rig.medium._receive_mixer.image_db))
        for fact, mixer in zip(facts["device"], mixers, strict=True):
            assert fact["told_apart"]
            covered["image"].append(inside(fact, "image", mixer.image_db))
            covered["leak"].append(inside(fact, "leak", leak_db(mixer)))
            assert fact["muted_below_db"] < -50.0
        assert len(outcome.pictures) == 1
    assert {name: np.mean(one) > 0.9 for name, one in covered.items()} == dict.fromkeys(covered, True)


def test_with_one_reference_the_sum_of_the_images_is_said_to_be_that() -> None:
    outcome = FrontEnd().run(bench(shared=True), {})
    words = [one.quantity for one in outcome.findings]
    assert sum("its own and the receiver's together" in one for one in words) == 3
    for fact in outcome.facts["device"]:
        assert not fact["told_apart"] and "image_db" not in fact
        assert inside(fact, "leak", -50.0) or abs(fact["leak_db"] + 50.0) < 4 * fact["leak_error_db"]


def test_limits_are_judged_and_advice_is_given() -> None:
    outcome = FrontEnd().run(bench(iq_gain_db=2.0, iq_phase_deg=10.0, lo_leakage_dbfs=-25.0, dc_offset_dbfs=-15.0), {})
    failed = {one.quantity: one.advice for one in outcome.findings if one.verdict == "fail"}
    assert {"DC offset", "image", "LO leakage"} <= failed.keys() and all(failed.values())


def test_silent_and_saturated_devices_are_named() -> None:
    rig = bench()
    rig.medium.gains[1] = 0.0
    outcome = FrontEnd().run(rig, {})
    assert [(one.subject, one.quantity) for one in outcome.findings if one.verdict == "fail"] == [
        ("device-1", "not heard")
    ]
    rig.receiver.receive_gain_db += 60.0
    outcome = FrontEnd().run(rig, {})
    assert outcome.failed and all(one.advice for one in outcome.findings if one.verdict == "fail")
    rig = bench()
    rig.receiver.receive_gain_db += 14.0  # half the amplitude is no more than it bears
    assert verdicts(FrontEnd().run(rig, {})) <= {"pass", "warn"}


def test_interference_is_named_and_mixers_are_still_judged() -> None:
    rig = bench()
    rig.medium.interferers.append(Interferer(0.05, -250e3))
    outcome = FrontEnd().run(rig, {})
    told = [one for one in outcome.findings if "interference" in one.quantity]
    assert told and all(one.verdict == "warn" and one.advice for one in told)
    assert all(fact["told_apart"] for fact in outcome.facts["device"])


def test_the_amplitude_is_where_the_amplifier_is_straight() -> None:
    rig = bench(compression_dbfs=-20.0)
    known = {"power_sweep": {"device": [{"linear_amplitude": 0.05}] * 3}}
    outcome = FrontEnd().run(rig, known)
    for fact, mixer in zip(outcome.facts["device"], rig.medium._transmit_mixers, strict=True):
        bound = fact.get("image_below_db", fact.get("image_db", 0.0) + 4 * fact.get("image_error_db", 0.0))
        assert mixer.image_db < bound


@pytest.mark.libiio
@pytest.mark.parametrize("clock", ["free", "shared"])
def test_virtual_plutos_are_told_apart_with_and_without_one_reference(virtual: Callable[..., Any], clock: str) -> None:
    """With one reference the devices' LOs are moved for it, and put back."""
    place = PROFILES["pluto-bench"]
    profile = replace(place, impairments=replace(place.impairments, **VICES))
    rig, plutos = virtual(3, clock=clock, profile=profile, start_lag_s=0.003)
    outcome = FrontEnd().run(rig, {})
    air = plutos.units[0].air
    truth = air.receive_mixers[2].image_db
    assert inside(dict(outcome.facts), "image", truth) or abs(outcome.facts["image_db"] - truth) < 1.5
    for k, fact in enumerate(outcome.facts["device"]):
        assert fact["told_apart"] and rig.transmitters[k].lo_hz == 915e6
        assert abs(fact["image_db"] - air._mixers[k].image_db) < 4 * fact["image_error_db"]
        assert abs(fact["leak_db"] - leak_db(air._mixers[k])) < 4 * fact["leak_error_db"]
        assert ("muted_below_db" in fact) == (clock == "free")
    assert abs(outcome.facts["dc_db"] + 40.0) < 0.3
