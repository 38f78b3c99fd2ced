"""Where a transmission begins, against captures in which that is known."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.onset import find_onset
from radio.tone import phasor

RATE, N, CYCLES = 1e6, 1 << 15, 0.1


def capture(seed: int, snr_db: float, start: int) -> tuple[np.ndarray, float]:
    draws = np.random.default_rng(seed)
    noise = 10 ** (-snr_db / 10)
    wave = np.exp(2j * np.pi * draws.random()) * phasor(CYCLES + draws.uniform(-0.04, 0.04), N)
    wave[:start] = 0.0
    return wave + np.sqrt(noise / 2) * draws.standard_normal(2 * N).view(complex), noise


@pytest.mark.parametrize(("snr_db", "most"), [(30.0, 0), (10.0, 1), (-5.0, 60)])
def test_the_first_sample_is_found(snr_db: float, most: int) -> None:
    """95 % of 100 are 95 +- 2.2."""
    covered = 0
    for seed in range(100):
        start = int(np.random.default_rng(seed + 500).integers(0, N - 8192))
        samples, noise = capture(seed, snr_db, start)
        found = find_onset(samples, CYCLES, rate_sps=RATE, noise_variance=noise, offset_max_hz=45e3)
        assert found is not None and abs(found.sample - start) <= most
        covered += abs(found.sample - start) <= 1.96 * found.standard_error
        assert found.settled_dbfs == pytest.approx(0.0, abs=0.5)
    assert covered >= 89


def test_the_error_at_low_level_is_that_of_a_change_point() -> None:
    """Yao (1987): variance 26 / (2 |a|^2 / |n|^2)^2."""
    errors = []
    for seed in range(200):
        samples, noise = capture(seed, -3.0, 10_000)
        found = find_onset(samples, CYCLES, rate_sps=RATE, noise_variance=noise, offset_max_hz=45e3)
        assert found is not None
        errors.append(found.sample - 10_000)
    assert np.std(errors) == pytest.approx(np.sqrt(26) / 2 * 10**0.3, rel=0.35)


def test_what_was_on_before_begins_at_zero_and_silence_is_none() -> None:
    samples, noise = capture(1, 20.0, 0)
    found = find_onset(samples, CYCLES, rate_sps=RATE, noise_variance=noise, offset_max_hz=45e3)
    assert found is not None and found.sample == 0
    samples, noise = capture(1, 20.0, N)
    assert find_onset(samples, CYCLES, rate_sps=RATE, noise_variance=noise, offset_max_hz=45e3) is None
