"""What is in the air while nobody sends, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.environment import Environment, candidates
from radio.emulator.faults import parse_fault
from radio.fading import Fading
from radio.impairments import Impairments
from radio.interference import Interferer
from radio.pluto.permit import TransmitPermit
from radio.pluto.transceiver import open_radio
from radio.surroundings import Surroundings, from_profile
from radio.tone import phasor

BAND = (912e6, 918e6)
QUICK = Environment(samples=1 << 15)


def test_the_floor_is_covered_over_many_stations() -> None:
    """At the ADC: antenna noise times the gain, and the quantisation of 12 bits, step^2 / 6."""
    covered = 0
    for seed in range(40):
        noise = 10 ** np.random.default_rng(seed).uniform(-5, -1)
        rig = LoopbackRig(
            Surroundings(Fading(2, seed, "static"), noise, seed, impairments=Impairments(dc_offset_dbfs=-40))
        )
        outcome = QUICK.run(rig, {})
        truth = noise * 10 ** (rig.receiver.receive_gain_db / 10) + (1 / 2047) ** 2 / 6
        floor = outcome.findings[0].estimate
        covered += floor.covers(10 * np.log10(truth))
        assert not outcome.failed and outcome.facts["clean_lo_hz"] == 915e6
    assert covered >= 34  # 95 % of 40 is 38 +- 1.4


def test_interference_is_named_and_a_clean_frequency_found() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3), band_hz=BAND)
    home, gain = rig.lo_hz, 10 ** (rig.receiver.receive_gain_db / 20)
    rig.medium.interferers += [Interferer(0.2, 123_456.0), Interferer(0.3, 1.2e6)]
    outcome = QUICK.run(rig, {})
    assert rig.lo_hz == home and rig.medium.on_air == ()
    (found,) = [finding for finding in outcome.findings if finding.quantity.startswith("interference")]
    assert found.quantity.startswith("interference at 915.1234")
    assert found.verdict == "fail" and found.estimate.value == pytest.approx(20 * np.log10(0.2 * gain), abs=0.3)
    best = outcome.facts["clean_lo_hz"]
    assert best != home and f"lo_hz = {best:.0f}" in found.advice
    assert abs(best - 916.2e6) > 0.5e6 and abs(best - 915.12e6) > 0.5e6
    assert {one["lo_hz"] for one in outcome.facts["channels"]} == {home, *candidates(rig, 9)}
    assert len(outcome.pictures) == 2


def test_a_line_near_the_carrier_may_be_a_muted_device() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3))
    rig.medium.interferers.append(Interferer(0.05, 20e3))
    (found,) = [f for f in QUICK.run(rig, {}).findings if f.quantity.startswith("interference")]
    assert "muted devices" in found.advice and "another lo_hz" in found.advice


def test_a_saturated_receiver_and_bursts_are_named() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3))
    rig.medium.interferers.append(Interferer(50.0, 200e3))
    first = QUICK.run(rig, {}).findings[0]
    assert first.quantity == "saturated by others" and first.verdict == "fail" and "receive_gain_db" in first.advice
    settings = Impairments(burst_rate_hz=200.0, burst_s=1e-3, burst_amplitude=0.5)
    rig = LoopbackRig(Surroundings(Fading(2, 3, "static"), 1e-3, 3, impairments=settings))
    (found,) = [f for f in Environment().run(rig, {}).findings if f.quantity == "bursts of others"]
    assert found.verdict == "fail" and 0.1 < found.estimate.value < 0.4


def test_candidates_lie_in_the_band_with_the_whole_signal() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 1, 1), band_hz=BAND)
    found = candidates(rig, 9)
    assert all(BAND[0] + 0.5e6 <= lo <= BAND[1] - 0.5e6 and abs(lo - rig.lo_hz) >= 0.5e6 for lo in found)
    assert len(found) == 6 and candidates(rig, 3) == [912.5e6, 917.5e6]
    assert candidates(LoopbackRig(from_profile("pluto-bench", 1, 1), band_hz=(914.9e6, 915.1e6)), 9) == []


@pytest.mark.libiio
def test_on_virtual_plutos_with_somebody_else_on_the_air(virtual: Callable[..., Any]) -> None:
    rig, plutos = virtual(3, outsiders=1)
    permit = TransmitPermit(900e6, 930e6, 20.0)
    with open_radio(plutos.uris[0], permit=permit) as stranger:
        stranger.rate_sps, stranger.lo_hz = 1e6, 915e6
        stranger.transmit_gain_db = -20.0
        stranger.transmit(phasor(512 / 2048, 2048), cyclic=True)
        rig.wait(0.1)
        outcome = Environment(1 << 14).run(rig, {})
    (found,) = [f for f in outcome.findings if f.quantity.startswith("interference at 915.2")]
    assert outcome.facts["clean_lo_hz"] != 915e6 and rig.lo_hz == 915e6
    assert found.verdict == "fail"
    silent = Environment(1 << 14).run(rig, {})
    assert [f.verdict for f in silent.findings] == ["pass", "pass"] and silent.facts["clean_lo_hz"] == 915e6
    air, gain_db = plutos.units[0].air, 20 - 30
    truth = air.noise_variance * 10 ** (gain_db / 10) + (1 / 2047) ** 2 / 6
    assert silent.findings[0].estimate.value == pytest.approx(10 * np.log10(truth), abs=0.3)


@pytest.mark.libiio
def test_lost_samples_are_a_finding(virtual: Callable[..., Any]) -> None:
    rig, plutos = virtual(2)
    rig.idle(100)
    plutos.units[-1].faults.arm(parse_fault("1:gap@capture=5,count=200", 1))
    (finding,) = Environment(1 << 14).run(rig, {}).findings
    assert finding.verdict == "fail" and finding.quantity == "samples lost" and finding.advice
