"""Live weights, on loopback and on virtual Plutos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.reweighting import WEIGHTS, Reweighting
from radio.emulator.cores import TransmitCore
from radio.emulator.wave import NEUTRAL
from radio.surroundings import from_profile


@pytest.mark.parametrize("shared", [True, False])
def test_weights_of_a_good_bench_are_what_was_asked_for(shared: bool) -> None:
    """The DAC's 12 bits leave less than 1e-3 of a weight; the carriers drift while the ladder is climbed."""
    rig = LoopbackRig(from_profile("pluto-bench", 3, 4, shared_clock=shared))
    outcome = Reweighting().run(rig, {})
    assert outcome.facts["works"] and not outcome.failed and rig.medium.on_air == ()
    for one in outcome.facts["device"]:
        assert np.allclose(one["weights"], [[complex(w).real, complex(w).imag] for w in WEIGHTS])
        assert np.abs(one["amplitude_errors"]).max() < 0.01 and np.abs(one["phase_errors_rad"]).max() < 0.01
        assert one["settled_s"] == 0.0


def test_intervals_cover_over_many_stations() -> None:
    hits, count = np.zeros(2), 0
    for seed in range(12):
        for one in Reweighting(1 << 12).run(LoopbackRig(from_profile("pluto-bench", 1, seed)), {}).facts["device"]:
            hits[0] += (np.abs(one["amplitude_errors"]) <= 1.96 * np.array(one["amplitude_standard_errors"])).sum()
            hits[1] += (np.abs(one["phase_errors_rad"]) <= 1.96 * np.array(one["phase_standard_errors_rad"])).sum()
            count += len(WEIGHTS)
    assert (hits >= 0.9 * count).all(), hits


def test_wrong_weights_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 4))
    proper = rig.medium.weigh
    monkeypatch.setattr(rig.medium, "weigh", lambda k, w: proper(k, w if k or w == 1 else 1.05 * w * np.exp(0.1j)))
    outcome = Reweighting().run(rig, {})
    faults = [f for f in outcome.findings if f.verdict == "fail"]
    assert [(f.subject, f.quantity.split(" ")[0]) for f in faults] == [("device-0", "amplitude"), ("device-0", "phase")]
    assert faults[0].estimate.value == pytest.approx(5.0, abs=0.7)
    assert faults[1].estimate.value == pytest.approx(np.degrees(0.1), abs=0.4)
    assert all("coherent mode is not advised" in f.advice for f in faults)
    assert [one["works"] for one in outcome.facts["device"]] == [False, True] and not outcome.facts["works"]


def test_a_restart_with_every_weight_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 1, 4))
    medium = rig.medium

    def anew(device: int, weight: complex) -> None:
        source = medium._emissions[device].source
        medium.transmit(device, weight * source, True)
        medium.clock += rig.guard_samples

    monkeypatch.setattr(medium, "weigh", anew)
    (fault,) = Reweighting().run(rig, {}).findings
    assert fault.quantity == "phase between weights" and "starts anew" in fault.advice


def test_wrong_conditions_are_findings() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 9))
    rig.medium.gains[0] = 0.0
    outcome = Reweighting().run(rig, {})
    assert [(f.subject, f.quantity) for f in outcome.findings if f.verdict == "fail"] == [("device-0", "not heard")]
    rig = LoopbackRig(from_profile("pluto-bench", 1, 9))
    rig.transmitters[0] = rig.receiver  # has no weights
    (fault,) = Reweighting().run(rig, {}).findings
    assert fault.verdict == "fail" and "mode energy" in fault.advice


def test_weights_of_a_weak_device_are_not_held_against_it() -> None:
    """At -9 dB a sample, 2^16 samples know a quarter of it to 3 %."""
    rig = LoopbackRig(from_profile("textbook", 1, 5))
    outcome = Reweighting().run(rig, {})
    assert not outcome.failed and outcome.facts["works"]
    assert all("not known well enough" in f.advice for f in outcome.findings if f.verdict == "warn")


def test_a_compressing_transmitter_is_driven_within_its_linear_range() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 1, 9))
    sent = []
    transmit = rig.transmitters[0].transmit
    rig.transmitters[0].transmit = lambda wave, cyclic=False: (sent.append(np.abs(wave).max()), transmit(wave, cyclic))[
        1
    ]
    assert Reweighting().run(rig, {"power_sweep": {"device": [{"linear_amplitude": 0.5}]}}).facts["works"]
    assert sent == [pytest.approx(0.5)]


@pytest.mark.libiio
@pytest.mark.parametrize("clock", ["shared", "free"])
def test_on_virtual_plutos_nothing_starts_anew(virtual: Callable[..., Any], clock: str) -> None:
    rig, plutos = virtual(2, clock=clock)
    begun = plutos.units[0].starts
    outcome = Reweighting().run(rig, {})
    assert outcome.facts["works"] and not outcome.failed, outcome.findings
    assert plutos.units[0].starts == begun + 2  # one in digital loopback, one on the air
    assert rig.transmitters[0].weighs_live


@pytest.mark.libiio
def test_a_unit_without_the_stage_is_found_out(monkeypatch: pytest.MonkeyPatch, virtual: Callable[..., Any]) -> None:
    stuck = property(lambda core: NEUTRAL, lambda core, value: None)
    monkeypatch.setattr(TransmitCore, "stage", stuck, raising=False)
    rig, _ = virtual(2, clock="shared")
    (fault,) = Reweighting().run(rig, {}).findings
    assert fault.verdict == "fail" and "calibscale" in fault.advice and not rig.transmitters[0].weighs_live
