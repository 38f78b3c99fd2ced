from __future__ import annotations

import math

import numpy as np
import pytest

from radio.energy_slot import energy_variance, measure_power
from radio.sequence import random_phases
from radio.streams import stream
from radio.tone import phasor


def slots(powers: list[float], noise: float, window: int, count: int) -> np.ndarray:
    """(count, window) samples of white random-phase signals in noise, drawn directly."""
    draws = stream(5, "slots", len(powers), window)
    out = draws.standard_normal((count, window, 2)).view(np.complex128)[..., 0] * math.sqrt(noise / 2)
    for power in powers:
        out += math.sqrt(power) * np.exp(2j * np.pi * draws.random((count, window)))
    return out


def test_variance_by_the_worked_example() -> None:
    """pluto.md section 4: K = 8 devices at half power, M = 10^4, 0 dB: standard deviation 0.048."""
    assert math.sqrt(energy_variance(np.full(8, 0.5), 1.0, 10_000)) == pytest.approx(0.048, abs=5e-4)


@pytest.mark.parametrize("powers", [[1.0], [0.2, 0.9], [0.5] * 8, []])
def test_measured_power_and_its_variance(powers) -> None:
    noise, window, count = 0.4, 256, 3000
    found = [measure_power(s, noise, len(powers)) for s in slots(powers, noise, window, count)]
    power = np.array([f.power for f in found])
    formula = float(energy_variance(np.array(powers or [0.0]), noise, window))
    assert abs(power.mean() - (sum(powers) + noise)) < 5 * math.sqrt(formula / count)
    assert power.var() == pytest.approx(formula, rel=0.1)
    predicted = np.mean([f.variance for f in found])
    # Exact for equal powers; an upper bound where the split is uneven, at most by the samples' own scatter.
    # The smaller of two estimates with a scatter of 1/sqrt(M) is 4 % small at 256 samples.
    assert 0.94 * formula < predicted < 1.1 * max(formula, energy_variance(np.array(powers or [0.0]), noise, window))
    assert not any(f.fault for f in found)


def clean(window: int = 4096) -> np.ndarray:
    noise = stream(2, "noise").standard_normal((window, 2)).view(np.complex128)[:, 0] * math.sqrt(0.01 / 2)
    return random_phases(1, 2, window, "two").sum(axis=0) + noise


def test_a_burst_in_part_of_the_slot_is_noticed() -> None:
    samples = clean()
    samples[1000:1200] += 2.0 * random_phases(9, 1, 200, "burst")[0]
    assert "part of a slot" in measure_power(samples, 0.01, 2).fault
    samples = clean()
    samples[3000:] = 0.0  # a transmitter that stopped
    assert "part of a slot" in measure_power(samples, 0.01, 2).fault
    assert not measure_power(clean(), 0.01, 2).fault


def test_a_carrier_is_noticed_but_not_dc_nor_what_is_our_own() -> None:
    samples = clean() + 0.3 * phasor(0.2, 4096)
    assert "carrier" in measure_power(samples, 0.01, 2).fault
    assert not measure_power(samples, 0.01, 2, line_allowed=0.09).fault
    assert not measure_power(clean() + 0.3, 0.01, 2).fault
