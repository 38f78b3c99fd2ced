"""Weights found in readings, against weights and carriers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.weight_fit import fit_weights, settling
from radio.tone import phasor

ASKED = np.array([1, 0.5, 1, -0.5, 1, 0.25j, 1, 0.3 - 0.4j, 1, 0.1, 1], dtype=complex)


def readings(seed: int, error: float) -> tuple[np.ndarray, ...]:
    """Amplitudes with noise on a drifting carrier; weights 1.01 e^{0.02 j} times what was asked for."""
    draws = np.random.default_rng(seed)
    times = np.cumsum(draws.uniform(0.02, 0.04, ASKED.size))
    phases = 2 * np.pi * (draws.random() + draws.uniform(-1, 1) * times + 0.5 * draws.normal(0, 5) * times**2)
    true = np.where(ASKED == 1, 1.0, 1.01 * np.exp(0.02j))
    noise = error * draws.standard_normal(2 * ASKED.size).view(complex)
    amplitudes = 0.3 * ASKED * true * np.exp(1j * phases) + noise
    each = np.full(ASKED.size, error)
    return amplitudes, times, ASKED, each, each / np.abs(amplitudes)


def test_intervals_cover() -> None:
    """95 % of 5 x 200 are 950 +- 7, if they were independent; five share their references."""
    levels = phases = 0
    for seed in range(200):
        fit = fit_weights(*readings(seed, 3e-4))
        levels += int((np.abs(fit.amplitude_errors - 0.01) <= 1.96 * fit.amplitude_standard_errors).sum())
        phases += int((np.abs(fit.phases_rad - 0.02) <= 1.96 * fit.phase_standard_errors).sum())
        assert fit.jump_rad < np.radians(10)
    assert min(levels, phases) >= 920


def test_errors_are_near_those_of_the_weights_own_readings() -> None:
    """The references add half of a reference's variance to an amplitude, and their leverage to a phase."""
    amplitudes, times, asked, each, phase = readings(1, 3e-4)
    fit = fit_weights(amplitudes, times, asked, each, phase)
    own = 3e-4 / (0.3 * np.abs(fit.weights))
    assert np.allclose(fit.amplitude_standard_errors, np.sqrt(own**2 + 0.5 * 1e-3**2), rtol=0.12)
    assert (fit.phase_standard_errors < 1.3 * np.hypot(own, 1e-3)).all()


def test_a_channel_that_moves_widens_the_interval() -> None:
    """By 1 % rms from reading to reading, without memory: the noise's own share is a tenth of that."""
    hits = 0
    for seed in range(200):
        amplitudes, times, asked, each, phase = readings(seed, 3e-4)
        moved = amplitudes * (1 + 0.01 * np.random.default_rng(seed + 999).standard_normal(times.size))
        fit = fit_weights(moved, times, asked, each, phase)
        hits += int((np.abs(fit.amplitude_errors - 0.01) <= 3.0 * fit.amplitude_standard_errors).sum())
    assert hits >= 900


def test_a_tone_that_starts_anew_is_found_out() -> None:
    found = 0
    for seed in range(50):
        amplitudes, times, asked, each, phase = readings(seed, 3e-4)
        turned = amplitudes * np.exp(2j * np.pi * np.random.default_rng(seed).random(amplitudes.size))
        found += fit_weights(turned, times, asked, each, phase).jump_rad > np.radians(45)
    assert found == 50


@pytest.mark.parametrize("late", [0, 1000, 3000])
def test_settling_to_the_block(late: int) -> None:
    samples = phasor(0.1, 8192)
    samples[late:] *= 0.5
    noise = np.random.default_rng(1).standard_normal(2 * 8192).view(complex) * 0.01
    found = settling(samples + noise, 0.1, block=256, noise_variance=2e-4, tolerance=0.02)
    assert late <= found < late + 256 or late == found == 0
