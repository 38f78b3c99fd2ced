"""The receiver's gain plan, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.receive_gain import ReceiveGain
from radio.fading import Fading
from radio.surroundings import Surroundings, from_profile


def bench(seed: int, devices: int = 3, gain_db: float = 0.0) -> LoopbackRig:
    draws = np.random.default_rng(seed)
    channel = Fading(devices, seed, "static", path_loss_db=list(draws.uniform(0, 10, devices)))
    rig = LoopbackRig(Surroundings(channel, 10 ** draws.uniform(-5, -2), seed))
    rig.receiver.receive_gain_db = gain_db
    return rig


def test_the_largest_sum_is_covered_and_the_gain_puts_its_peak_at_the_target() -> None:
    """Levels |h_k| of full-scale tones; noise peaks at 5 standard deviations of a rail. Gains are whole dB, rounded down."""
    covered, wide = 0, []
    for seed in range(60):
        rig = bench(seed, gain_db=-25.0)
        total = np.abs(rig.medium.gains).sum()
        outcome = ReceiveGain(1 << 13).run(rig, {})
        facts = outcome.facts
        covered += outcome.findings[0].estimate.covers(20 * np.log10(total) - 25.0)
        noise = rig.medium.noise_variance + (1 / 2047) ** 2 / 6 * 10**2.5
        # 3 levels, each with a bound of v / 2N.
        bound = 20 / np.log(10) * np.sqrt(3 * noise / 2 / (1 << 13)) / total
        wide.append(facts["sum_error_db"] / bound)
        peak = total + 5 * np.sqrt(noise / 2)
        assert -13.1 < 20 * np.log10(peak) + facts["recommended_gain_db"] < -11.9
        assert rig.receiver.receive_gain_db == -25.0 and facts["saturated"] == 0.0
    assert covered >= 53
    assert np.mean(wide) < 1.3


def test_a_gain_that_is_far_too_high_is_found_out_and_measured_all_the_same() -> None:
    rig = bench(4, gain_db=20.0)
    outcome = ReceiveGain().run(rig, {})
    assert outcome.failed and rig.receiver.receive_gain_db == 20.0
    assert outcome.facts["saturated"] > 0.1
    best = outcome.facts["recommended_gain_db"]
    assert best == pytest.approx(-12 - 20 * np.log10(np.abs(rig.medium.gains).sum()), abs=1.5)
    assert f"receive_gain_db = {best:g}" in outcome.findings[0].advice
    assert {"the receiver is saturated", "saturates with all devices on at the present gain"} <= {
        f.quantity for f in outcome.findings
    }
    rig.receiver.receive_gain_db = best
    again = ReceiveGain().run(rig, {})
    assert not again.failed and again.findings[0].verdict == "pass"


def test_devices_that_saturate_only_together_are_found_out() -> None:
    rig = LoopbackRig(Surroundings(Fading(4, 1, "static"), 1e-4, 1))
    rig.receiver.receive_gain_db = -6.0
    outcome = ReceiveGain().run(rig, {})
    assert outcome.findings[0].verdict == "fail" and outcome.findings[0].estimate.value == pytest.approx(6.04, abs=0.01)
    assert not any(f.quantity == "the receiver is saturated" for f in outcome.findings)


def test_a_gain_that_is_too_low_loses_bits() -> None:
    outcome = ReceiveGain().run(bench(3, gain_db=-45.0), {})
    assert outcome.findings[0].verdict == "fail" and outcome.facts["recommended_gain_db"] > -25.0


def test_a_silent_device_is_named_and_the_others_are_planned_for() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 3, 9))
    rig.medium.gains[2] = 0.0
    outcome = ReceiveGain().run(rig, {})
    assert [(f.subject, f.quantity) for f in outcome.findings if f.verdict == "fail"] == [("device-2", "not heard")]
    assert "level_dbfs" not in outcome.facts["device"][2] and np.isfinite(outcome.facts["recommended_gain_db"])
    rig.medium.gains[:] = 0.0
    assert len(ReceiveGain().run(rig, {}).findings) == 3


@pytest.mark.libiio
def test_on_virtual_plutos(virtual: Callable[..., Any]) -> None:
    """A full-scale tone over a path of gain 1 fills the ADC at 30 dB; the unit takes no gain below -1 dB."""
    rig, plutos = virtual(3, clock="shared", receive_gain_db=25)
    outcome = ReceiveGain(1 << 13).run(rig, {})
    gains = np.abs(plutos.units[0].air.paths(2, 0.0)[:2, 0])
    assert outcome.findings[0].estimate.value == pytest.approx(20 * np.log10(gains.sum()) - 5, abs=0.3)
    assert outcome.facts["recommended_gain_db"] == pytest.approx(30 - 12 - 20 * np.log10(gains.sum()), abs=2.0)
    assert rig.receiver.receive_gain_db == 25
    assert plutos.units[2].transceiver.settings.rx_gain_db == 25
