"""Every planted fault is flagged in the configuration where it matters, and no correct system is."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.audit.configurations import (
    QUICK,
    TOLERATED_DROPOUTS,
    correct_systems,
    device_unit,
    example_unit,
    tiny_data,
)
from privacy.audit.faults import NAMES, RADIO_FAULTS
from privacy.audit.findings import Finding, false_alarms, faults_flagged, radio_audits


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return [run() for _, run in radio_audits(QUICK, seed=1)]


def test_no_correct_system_is_flagged(findings: list[Finding]) -> None:
    correct = [finding for finding in findings if finding.fault is None]
    assert len(correct) == len(correct_systems(QUICK))
    assert false_alarms(findings) == []
    for finding in correct:
        assert finding.claimed == pytest.approx(5.0, abs=1e-3)
        assert 3.0 < finding.lower <= finding.claimed


@pytest.mark.parametrize("index", range(len(RADIO_FAULTS)))
def test_every_fault_on_the_radio_is_flagged(findings: list[Finding], index: int) -> None:
    finding = [finding for finding in findings if finding.fault is not None][index]
    assert finding.fault == RADIO_FAULTS[index].name
    assert finding.verdict == "FLAGGED" and finding.lower > finding.claimed


def test_a_fault_counts_only_if_every_planting_of_it_is_flagged() -> None:
    def found(name: str | None, flagged: bool) -> Finding:
        return Finding(name, "", "", flagged, "")

    some = [found(NAMES[0], True), found(NAMES[0], False), found(NAMES[1], True), found(None, True)]
    assert list(faults_flagged(some)) == [NAMES[1]]
    assert false_alarms(some) == [some[3]]
    assert [finding.verdict for finding in some] == ["FLAGGED", "MISSED", "FLAGGED", "FALSE ALARM"]


@pytest.mark.parametrize("threat", ["own-noise", "aggregate", "trusted-receiver"])
def test_what_a_threat_counts_is_at_its_worst_what_is_heard(threat: str) -> None:
    system = device_unit(threat, QUICK)
    ((charge, _),) = system.charged
    # Sensitivity 2C = 2 over the noise, seen as loud as the margin allows: one over the charged multiplier.
    assert system.distance == pytest.approx(1.0 / charge.noise_multiplier, rel=1e-5)


def test_an_example_moves_the_payload_by_the_clip_over_b_and_a_small_batch_by_more() -> None:
    assert example_unit(QUICK).shift == pytest.approx(1 / 64)
    assert np.linalg.norm(example_unit(QUICK, scalars=16).shift) == pytest.approx(4 / 64)
    assert np.abs(tiny_data(QUICK).shift) == pytest.approx(1 / 4)
    planted = [fault.plant(QUICK) for fault in RADIO_FAULTS if fault.name == "data-dependent denominator"]
    assert np.abs(planted[0].shift) == pytest.approx(1 / 2)


def test_one_dropout_beyond_the_tolerated_ones_leaves_a_device_fewer() -> None:
    (planted,) = [fault.plant(QUICK) for fault in RADIO_FAULTS if fault.name == "one dropout beyond D"]
    assert len(planted.noise_std) == 5 - TOLERATED_DROPOUTS - 1
