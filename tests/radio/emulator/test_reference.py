"""Crystals: ppm, wander, and what a synthesiser can be tuned to."""

from __future__ import annotations

import numpy as np
import pytest

from radio.emulator.reference import NOMINAL_HZ, PERIOD_S, Reference, tunable
from radio.impairments import NONE, Impairments

FREE = Impairments(oscillator_ppm=20.0, drift_ppm_per_s=0.02)


def test_a_shared_clock_is_exact() -> None:
    reference = Reference(Impairments(oscillator_ppm=20.0, drift_ppm_per_s=0.02, shared_clock=True), 1, 0)
    assert reference.ppm(1234.5) == 0.0
    assert reference.lead(1234.5) == 0.0
    assert Reference(NONE, 1, 0).ppm(5.0) == 0.0


@pytest.mark.parametrize("unit", range(5))
def test_the_lead_is_the_integral_of_the_ppm(unit: int) -> None:
    reference = Reference(FREE, 3, unit)
    seconds = np.linspace(0.0, 700.0, 70001)
    ppm = np.array([reference.ppm(t) for t in seconds])
    integral = np.sum((ppm[1:] + ppm[:-1]) / 2.0 * np.diff(seconds)) * 1e-6
    assert reference.lead(700.0) == pytest.approx(integral, rel=1e-6, abs=1e-12)
    assert abs(reference.offset_ppm) <= 20.0


def test_the_drift_has_the_deviation_asked_for_and_the_wander_stays_bounded() -> None:
    slopes = []
    for unit in range(300):
        reference = Reference(FREE, 7, unit)
        times = np.linspace(0.0, PERIOD_S, 61)
        slopes.append(np.abs(np.diff([reference.ppm(t) for t in times]) / np.diff(times)).max())
        assert reference.ppm(1e6) - reference.offset_ppm < 0.02 * 4.0 * PERIOD_S / 6.28
    # the steepest slope is |N(0, 0.02)|; of 300 its root mean square is within 10 %
    assert np.sqrt(np.mean(np.square(slopes))) == pytest.approx(0.02, rel=0.1)


def test_the_correction_scales_all_frequencies() -> None:
    reference = Reference(NONE, 1, 0)
    assert reference.tuning == 1.0
    reference.correction_hz = NOMINAL_HZ + 400  # 10 ppm: the unit divides more, and is 10 ppm low
    assert reference.tuning == pytest.approx(1.0 - 10e-6, abs=1e-9)


@pytest.mark.parametrize("frequency", [325e6, 433.92e6, 915e6, 2.4e9, 3.8e9])
def test_a_carrier_is_within_half_a_step(frequency: float) -> None:
    assert abs(tunable(frequency) - frequency) <= 2.4
    assert tunable(tunable(frequency)) == pytest.approx(tunable(frequency), abs=1e-6)
