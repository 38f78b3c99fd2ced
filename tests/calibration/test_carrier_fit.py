"""Offset and drift of one carrier, against carriers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.carrier_fit import fit_carrier, offset_bound_hz
from radio.tone import phasor

RATE, LO, TONE, N = 1e6, 915e6, 100e3, 1 << 15


def capture(seed: int, snr_db: float) -> tuple[np.ndarray, float, float, float]:
    """Samples of a unit whose oscillator is off, its offset in the middle and its drift in Hz, and the noise's variance."""
    draws = np.random.default_rng(seed)
    offset, drift, noise = draws.uniform(-4e4, 4e4), draws.normal(0, 20), 10 ** (-snr_db / 10)
    t = (np.arange(N) - (N - 1) / 2) / RATE
    tone = TONE + (offset + drift * t / 2) * (LO + TONE) / LO
    wave = np.exp(2j * np.pi * (tone * t + draws.random()))
    return wave + np.sqrt(noise / 2) * (draws.standard_normal(2 * N).view(complex)), offset, drift, noise


@pytest.mark.parametrize("snr_db", [30.0, 0.0, -10.0])
def test_intervals_cover_and_are_near_their_bound(snr_db: float) -> None:
    """95 % of 120 is 114 +- 2.4. The bound on the drift is that of a quadratic phase, whose errors are those of the second
    Legendre coefficient: Var d = (3 / (2 pi h^2))^2 5 s^2 / N at a phase noise s^2 = v / (2 a^2) a sample, h = half the time."""
    trials, offsets, drifts, levels, wide, wide_drift = 120, 0, 0, 0, [], []
    for seed in range(trials):
        samples, offset, drift, noise = capture(seed, snr_db)
        begin = (TONE + offset * (LO + TONE) / LO) / RATE + np.random.default_rng(seed).uniform(-0.2, 0.2) / N
        fit = fit_carrier(samples, begin, rate_sps=RATE, lo_hz=LO, tone_hz=TONE, noise_variance=noise)
        offsets += abs(fit.offset_hz - offset) <= 1.96 * fit.offset_error_hz
        drifts += abs(fit.drift_hz_per_s - drift) <= 1.96 * fit.drift_error
        levels += abs(fit.amplitude - 1.0) <= 1.96 * fit.amplitude_error
        wide.append(fit.offset_error_hz / offset_bound_hz(noise, 1.0, N, RATE))
        bound = 3 / (2 * np.pi * (N / 2 / RATE) ** 2) * np.sqrt(5 * noise / 2 / N)
        wide_drift.append(fit.drift_error / bound)
    assert min(offsets, drifts, levels) >= 107
    assert 0.9 < np.mean(wide) < 1.3 and 0.9 < np.mean(wide_drift) < 1.35


def test_phase_noise_of_the_oscillator_widens_the_interval() -> None:
    """White from block to block: 2 degrees in each of 64 blocks, 30 times what the receiver's noise makes of a phase."""
    covered, found = 0, []
    for seed in range(100):
        samples, offset, _, noise = capture(seed, 30.0)
        phase = np.repeat(np.random.default_rng(seed + 1000).normal(0, np.radians(2), 64), N // 64)
        fit = fit_carrier(samples * np.exp(1j * phase), (TONE + offset * (LO + TONE) / LO) / RATE, rate_sps=RATE, lo_hz=LO,
                          tone_hz=TONE, noise_variance=noise)  # fmt: skip
        covered += abs(fit.offset_hz - offset) <= 1.96 * fit.offset_error_hz
        found.append(fit.steadiness_rad)
    assert covered >= 88
    assert np.mean(found) == pytest.approx(np.radians(2), rel=0.05)


def test_the_picture_shows_the_drift_about_zero() -> None:
    t = (np.arange(N) - (N - 1) / 2) / RATE
    samples = phasor(0.1, N) * np.exp(1j * np.pi * 200 * t**2)
    fit = fit_carrier(samples, 0.1, rate_sps=RATE, lo_hz=LO, tone_hz=0.1 * RATE, noise_variance=1e-6)
    assert np.allclose(fit.phases_rad, np.pi * 200 * fit.times_s**2, atol=1e-3)
