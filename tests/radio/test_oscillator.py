from __future__ import annotations

import numpy as np
import pytest

from radio.impairments import NONE, Impairments
from radio.oscillator import Oscillators

RATE, LO = 1e6, 915e6


def phases(settings: Impairments, devices: int, n: int, clock: int = 0, round_index: int = 0) -> np.ndarray:
    """(K, n) unwrapped carrier phases."""
    oscillators = Oscillators(settings, devices, 4, LO)
    oscillators.begin(round_index, np.zeros(devices))
    ones = np.ones(n, dtype=np.complex128)
    return np.array([np.unwrap(np.angle(oscillators.turn(k, ones, clock, RATE))) for k in range(devices)])


def test_nothing_wrong_is_the_very_same_array() -> None:
    oscillators = Oscillators(NONE, 1, 1, LO)
    oscillators.begin(0, np.zeros(1))
    wave = np.ones(4, dtype=np.complex128)
    assert oscillators.turn(0, wave, 7, RATE) is wave


def test_offsets_are_differences_of_two_uniform_draws_and_fixed() -> None:
    oscillators = Oscillators(Impairments(oscillator_ppm=20.0), 20_000, 3, LO)
    oscillators.begin(0, np.zeros(20_000))
    first = oscillators.offsets_hz
    assert np.array_equal(first, oscillators.ppm * 1e-6 * LO) and np.abs(oscillators.ppm).max() <= 40.0
    # One receiver: its draw is common, the devices' are uniform with a standard deviation of 20 / sqrt(3).
    assert oscillators.ppm.std() == pytest.approx(20.0 / np.sqrt(3.0), rel=0.02)
    oscillators.begin(5, np.zeros(20_000))
    assert np.array_equal(oscillators.offsets_hz, first)


def test_shared_clock_has_neither_offset_nor_drift_nor_random_phase() -> None:
    turned = phases(Impairments(oscillator_ppm=20.0, drift_ppm_per_s=1.0, shared_clock=True), 3, 100)
    assert not turned.any()


def test_drift_bends_the_phase() -> None:
    """phi(t) = phi_0 + 2 pi d t^2 / 2, so its second difference over steps of s is 2 pi d s^2."""
    turned = phases(Impairments(drift_ppm_per_s=2000.0), 400, 3001)
    second = turned[:, 2000] - 2 * turned[:, 1000] + turned[:, 0]
    drift = second / (2 * np.pi * 1e-6)
    assert drift.std() == pytest.approx(2000e-6 * LO, rel=0.1)
    assert np.unique(np.round(turned[:, 0], 6)).size == 400  # free-running: no phase to remember


def test_loop_phase_noise_is_stationary_with_its_rms_and_corner() -> None:
    settings = Impairments(phase_noise_deg=2.0, phase_noise_hz=2e4)
    theta = phases(settings, 60, 8192)
    assert theta.std() == pytest.approx(np.radians(2.0), rel=0.05)
    assert theta[:, 0].std() == pytest.approx(np.radians(2.0), rel=0.25)
    lag = 10  # autocorrelation of an Ornstein-Uhlenbeck process: exp(-2 pi f_c tau)
    found = (theta[:, lag:] * theta[:, :-lag]).mean() / (theta**2).mean()
    assert found == pytest.approx(np.exp(-2 * np.pi * 2e4 * lag / RATE), abs=0.05)


def test_wiener_phase_noise_grows_by_two_pi_linewidth_seconds() -> None:
    theta = phases(Impairments(linewidth_hz=100.0), 800, 1001)
    assert (theta[:, 1000] - theta[:, 0]).var() == pytest.approx(2 * np.pi * 100.0 * 1e-3, rel=0.15)


def test_phase_noise_goes_on_over_gaps_and_repeats_at_the_same_instant() -> None:
    oscillators = Oscillators(Impairments(linewidth_hz=50.0, phase_noise_deg=1.0), 1, 9, LO)
    oscillators.begin(2, np.zeros(1))
    ones = np.ones(64, dtype=np.complex128)
    first = oscillators.turn(0, ones, 0, RATE)
    later = oscillators.turn(0, ones, 5000, RATE)
    assert not np.allclose(first, later)
    assert np.array_equal(oscillators.turn(0, ones, 5000, RATE), later)
    assert np.array_equal(oscillators.turn(0, np.ones(80, dtype=np.complex128), 5000, RATE)[:64], later)
    gap = oscillators.turn(0, np.ones(5064, dtype=np.complex128), 0, RATE)
    assert np.array_equal(gap[:64], first) and np.array_equal(gap[5000:], later)


def test_gap_of_a_wiener_process_has_the_variance_of_its_length() -> None:
    jumps = []
    for seed in range(300):
        oscillators = Oscillators(Impairments(linewidth_hz=1.0), 1, seed, LO)
        oscillators.begin(0, np.zeros(1))
        one = np.ones(1, dtype=np.complex128)
        before, after = (np.angle(oscillators.turn(0, one, clock, RATE))[0] for clock in (0, 20_000))
        jumps.append(after - before)
    assert np.var(jumps) == pytest.approx(2 * np.pi * 1.0 * 0.02, rel=0.3)
