"""The power sweep on loopback and on virtual Plutos, against what their impairments are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.finding import Estimate
from calibration.loopback_rig import LoopbackRig
from calibration.steps.power_sweep import ATTENUATOR_DB, PowerSweep
from radio.fading import Fading
from radio.interference import Interferer
from radio.profiles import PROFILES
from radio.surroundings import from_profile


def bench(seed: int = 4, devices: int = 2, shared: bool = False, **vices: Any) -> LoopbackRig:
    place = from_profile("pluto-bench", devices, seed, shared_clock=shared)
    return LoopbackRig(replace(place, impairments=replace(place.impairments, start_jitter_s=0.002, **vices)))


def attenuator(rig: LoopbackRig, k: int, setting_db: float) -> float:
    """dB by which a setting is off, over what the station's own is."""
    steps, station_db = rig.medium._step_gains[k], rig.transmitters[k].transmit_gain_db
    return 20 * math.log10(steps.amplitude(station_db + setting_db) / steps.amplitude(station_db)) - setting_db


def test_compression_and_attenuators_are_recovered_on_loopback() -> None:
    covered = []
    for seed in range(4):
        rig = bench(seed, compression_dbfs=-9.0)
        for radio in rig.transmitters:
            radio.transmit_gain_db = -4.0
        for k, fact in enumerate(PowerSweep().run(rig, {}).facts["device"]):
            top = 20 * math.log10(rig.medium._step_gains[k].amplitude(-4.0)) + 20 * math.log10(
                abs(rig.medium._transmit_mixers[k].mu)
            )
            point = Estimate(fact["compression_dbfs"], fact["compression_error_db"])
            covered.append(point.covers(-9.0 - top))
            assert fact["attenuator_db"] == list(ATTENUATOR_DB)
            for setting, value, error in zip(
                fact["attenuator_db"], fact["attenuator_error_db"], fact["attenuator_error_error_db"], strict=True
            ):
                covered.append(Estimate(value, error).covers(attenuator(rig, k, setting)))
    assert np.mean(covered) > 0.9


def test_nothing_is_sent_above_the_station_s_gain_and_everything_is_put_back() -> None:
    rig = bench()
    used: list[float] = []
    for radio in rig.transmitters:
        radio.transmit_gain_db = -3.0
    transmit = rig.medium.transmit
    rig.medium.transmit = lambda k, x, c, g=0.0: (used.append(g), transmit(k, x, c, g))[1]  # type: ignore[method-assign]
    outcome = PowerSweep().run(rig, {})
    assert max(used) == -3.0 and min(used) == -23.0
    assert all(radio.transmit_gain_db == -3.0 for radio in rig.transmitters) and rig.medium.on_air == ()
    quantities = [finding.quantity for finding in outcome.findings]
    assert sum("none within range" in words for words in quantities) == 2 and not outcome.failed
    assert outcome.facts["device"][0]["compression_above_dbfs"] > 3.0


def test_compression_at_every_level_is_told_with_what_to_do() -> None:
    outcome = PowerSweep().run(bench(compression_dbfs=-25.0), {})
    lost = [one for one in outcome.findings if one.quantity == "gain lost at the highest level"]
    assert [one.verdict for one in lost] == ["fail", "fail"] and "transmit_gain_db" in lost[0].advice
    assert outcome.facts["device"][0]["linear_amplitude"] < 0.1


def test_a_receiver_that_is_full_limits_the_sweep() -> None:
    rig = bench()
    rig.receiver.receive_gain_db += 12.0
    outcome = PowerSweep().run(rig, {})
    assert any("receiver is full" in one.quantity and "receive_gain_db" in one.advice for one in outcome.findings)
    rig.receiver.receive_gain_db += 40.0
    outcome = PowerSweep().run(rig, {})
    assert sum(one.quantity == "the receiver is saturated" and one.verdict == "fail" for one in outcome.findings) >= 2


def test_a_silent_device_is_named() -> None:
    rig = bench()
    rig.medium.gains[1] = 0.0
    outcome = PowerSweep().run(rig, {})
    (silent,) = [one for one in outcome.findings if one.verdict == "fail"]
    assert (silent.subject, silent.quantity) == ("device-1", "not heard") and "antenna" in silent.advice
    assert len(outcome.facts["device"]) == 2 and len(outcome.pictures) == 1


def test_interference_is_named_and_the_sweep_goes_on() -> None:
    rig = bench()
    rig.medium.interferers.append(Interferer(0.05, -250e3))
    outcome = PowerSweep().run(rig, {})
    told = [one for one in outcome.findings if "interference" in one.quantity]
    assert told and all(one.verdict == "warn" and one.advice for one in told)
    assert all("gain_dbfs" in fact for fact in outcome.facts["device"])


def test_a_channel_that_moves_meanwhile_leaves_no_curve() -> None:
    place = from_profile("pluto-bench", 1, 4)
    fading = Fading(1, 4, "rician", 6.0, doppler_hz=2.0, round_s=1.0)
    rig = LoopbackRig(replace(place, channel=fading))
    outcome = PowerSweep().run(rig, {})
    (told,) = outcome.findings
    assert told.verdict == "warn" and "off the curve" in told.quantity and "moves" in told.advice
    assert "linear_amplitude" not in outcome.facts["device"][0]


def test_automatic_gain_is_noticed() -> None:
    outcome = PowerSweep().run(bench(agc=True), {})
    assert any("off the curve" in one.quantity and one.advice for one in outcome.findings) or outcome.failed


@pytest.mark.libiio
@pytest.mark.parametrize("clock", ["free", "shared"])
def test_virtual_plutos(virtual: Callable[..., Any], clock: str) -> None:
    profile = replace_vices(compression_dbfs=-3.0)
    rig, plutos = virtual(2, clock=clock, profile=profile, start_lag_s=0.003)
    (fact,) = PowerSweep().run(rig, {}).facts["device"]
    air = plutos.units[0].air
    steps = air._steps[0]
    top = 20 * math.log10(steps.amplitude(0.0) * 2047 / 2048 * abs(air._mixers[0].mu))
    assert abs(fact["compression_dbfs"] + 3.0 + top) < 4 * fact["compression_error_db"]
    truth = [
        20 * math.log10(steps.amplitude(setting) / steps.amplitude(0.0)) - setting for setting in fact["attenuator_db"]
    ]
    errors = (np.array(fact["attenuator_error_db"]) - truth) / np.array(fact["attenuator_error_error_db"])
    assert len(truth) == len(ATTENUATOR_DB) and np.abs(errors).max() < 4.5
    assert rig.transmitters[0].transmit_gain_db == 0.0


def replace_vices(**vices: Any) -> Any:
    place = PROFILES["pluto-bench"]
    return replace(place, impairments=replace(place.impairments, start_jitter_s=0.002, **vices))
