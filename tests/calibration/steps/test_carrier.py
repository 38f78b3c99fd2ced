"""Carriers and clocks, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.carrier_fit import offset_bound_hz
from calibration.loopback_rig import LoopbackRig
from calibration.steps.carrier import Carrier
from radio.interference import Interferer
from radio.surroundings import from_profile

QUICK = Carrier(1 << 15)


def each(facts: Mapping[str, Any]) -> dict[str, list[float]]:
    """(K,) values by name."""
    return {key: [one[key] for one in facts["device"]] for key in facts["device"][0]}


def test_offsets_and_drifts_of_many_stations_are_covered() -> None:
    """The offset at the instant that the facts name: what it was as the round began, and the drift since then."""
    offsets = drifts = devices = 0
    wide = []
    for seed in range(30):
        rig = LoopbackRig(from_profile("pluto-bench", 2, seed))
        outcome = QUICK.run(rig, {})
        facts, medium = each(outcome.facts), rig.medium
        drift = medium.drifts_hz_per_s
        truth = medium.offsets_hz + drift * np.array(facts["at_s"])
        offsets += int((np.abs(facts["offset_hz"] - truth) <= 1.96 * np.array(facts["offset_error_hz"])).sum())
        drifts += int((np.abs(facts["drift_hz_per_s"] - drift) <= 1.96 * np.array(facts["drift_error_hz_per_s"])).sum())
        devices += 2
        noise = medium.noise_variance * 10 ** (rig.receiver.receive_gain_db / 10)
        level = np.abs(medium.gains) * 10 ** (rig.receiver.receive_gain_db / 20)
        wide += [
            e / offset_bound_hz(noise, a, QUICK.samples, 1e6)
            for e, a in zip(facts["offset_error_hz"], level, strict=True)
        ]
        assert outcome.facts["shared"] is False and not outcome.failed
    assert min(offsets, drifts) >= 0.9 * devices
    assert np.mean(wide) < 1.6  # the profile's phase noise is no part of the bound


@pytest.mark.parametrize(("true", "said"), [(True, True), (True, False), (False, True), (False, False)])
def test_what_is_said_of_the_clocks_is_checked(true: bool, said: bool) -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 3, 7, shared_clock=true), shared_clock=said)
    outcome = QUICK.run(rig, {})
    assert outcome.facts["shared"] is true
    assert outcome.failed is (said and not true)
    clocks = [finding for finding in outcome.findings if "clock" in finding.quantity]
    if said and not true:
        assert [c.subject for c in clocks] == list(rig.names)
        assert all('clock = "free"' in c.advice and "reference" in c.advice for c in clocks)
    elif true and not said:
        assert [c.verdict for c in clocks] == ["pass"] and 'clock = "shared"' in clocks[0].advice
    else:
        assert len(clocks) == true


def test_one_device_or_the_receiver_on_another_clock_is_named() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 3, 7, shared_clock=True))
    rig.medium.offsets_hz[1] = 300.0
    (fault,) = [f for f in QUICK.run(rig, {}).findings if f.verdict == "fail"]
    assert fault.subject == "device-1" and fault.quantity == "clock is not shared"
    rig.medium.offsets_hz[:] = -2000.0
    (fault,) = [f for f in QUICK.run(rig, {}).findings if f.verdict == "fail"]
    assert fault.subject == "receiver" and "all devices agree" in fault.advice
    rig.medium.offsets_hz[:] = [0.0, 1.5, 0.0]
    outcome = QUICK.run(rig, {})
    (moves,) = [f for f in outcome.findings if f.verdict == "warn"]
    assert moves.subject == "device-1" and "channel moves" in moves.advice and outcome.facts["shared"]


def test_wrong_conditions_are_findings() -> None:
    bench = from_profile("pluto-bench", 3, 9)
    rig = LoopbackRig(bench)
    rig.medium.gains[1] = 0.0
    found = {f.subject: f for f in QUICK.run(rig, {}).findings if f.verdict == "fail"}
    assert list(found) == ["device-1"] and found["device-1"].quantity == "not heard" and found["device-1"].advice
    rig = LoopbackRig(bench)
    rig.receiver.receive_gain_db += 30.0
    assert {f.quantity for f in QUICK.run(rig, {}).findings if f.verdict == "fail"} == {"the receiver is saturated"}
    rig = LoopbackRig(replace(bench, noise_variance=1e-3))
    rig.medium.gains[1] = 0.0
    rig.medium.interferers.append(Interferer(0.5, 110e3))
    outcome = QUICK.run(rig, {})
    assert "device-1" in {f.subject for f in outcome.findings if f.verdict == "fail"}
    assert any("interference" in f.quantity for f in outcome.findings)


@pytest.mark.libiio
def test_on_virtual_plutos(virtual: Callable[..., Any]) -> None:
    """Two crystals make r = (1 + a) / (1 + b); the offset is L (r - 1) in the receiver's own hertz."""
    rig, plutos = virtual(4, clock="free", seed=11)
    outcome = Carrier().run(rig, {})
    facts = each(outcome.facts)
    references = plutos.units[0].air.references
    for k in range(3):
        one, two = (1 + 1e-6 * references[unit].ppm(facts["at_s"][k]) for unit in (k, 3))
        truth = 915e6 * (one / two - 1.0)
        assert abs(facts["offset_hz"][k] - truth) < 4 * facts["offset_error_hz"][k] + 1e-3
    assert outcome.facts["shared"] is False


@pytest.mark.libiio
@pytest.mark.parametrize(("clock", "said"), [("free", "shared"), ("shared", "free")])
def test_clocks_of_virtual_plutos(virtual: Callable[..., Any], clock: str, said: str) -> None:
    rig, _ = virtual(3, clock=clock, said=said)
    outcome = QUICK.run(rig, {})
    assert outcome.facts["shared"] is (clock == "shared") and outcome.failed is (said == "shared")
