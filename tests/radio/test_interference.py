from __future__ import annotations

import numpy as np
import pytest

from radio.impairments import Impairments
from radio.interference import Bursts
from radio.streams import stream

SETTINGS = Impairments(burst_rate_hz=100.0, burst_s=1e-3, burst_amplitude=0.5)


def heard(splits: list[int], seed: int = 1) -> np.ndarray:
    bursts = Bursts(SETTINGS, stream(seed, "bursts"), 0, 1e6)
    parts, clock = [], 0
    for n in splits:
        antenna = np.zeros(n, dtype=np.complex128)
        bursts.add(antenna, clock)
        parts.append(antenna)
        clock += n
    return np.concatenate(parts)


def test_duty_power_and_length() -> None:
    power = np.abs(heard([10_000] * 400)) ** 2
    # Poisson arrivals of 1 ms at 100 a second: mean power rate * length * amplitude^2.
    assert power.mean() == pytest.approx(100.0 * 1e-3 * 0.25, rel=0.15)
    on = np.flatnonzero(np.diff((power > 0).astype(int)) == 1).size
    assert on == pytest.approx(400 * np.exp(-0.1), rel=0.15)  # those that do not begin within another


def test_bursts_go_on_over_the_end_of_a_capture_and_do_not_depend_on_where_it_is() -> None:
    one, other = np.abs(heard([50_000])) > 0, np.abs(heard([7_000] * 7 + [1_000])) > 0
    assert np.array_equal(one, other) and one.any() and not one.all()
