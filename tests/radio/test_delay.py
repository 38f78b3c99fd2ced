from __future__ import annotations

import numpy as np
import pytest

from radio.delay import EDGE, ClockedWave, delay, echo, padded
from radio.streams import stream


def series(wave: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The periodic band-limited signal through `wave` at real-valued positions, as its Fourier sum."""
    n = wave.size
    k = np.fft.fftfreq(n) * n
    return np.exp(2j * np.pi * np.outer(positions, k) / n) @ np.fft.fft(wave) / n


def random_phases(n: int) -> np.ndarray:
    return np.exp(2j * np.pi * stream(1, "delay").random(n))


@pytest.mark.parametrize("n", [64, 101])
def test_delay_is_the_fourier_sum_shifted(n: int) -> None:
    wave = random_phases(n)
    assert np.allclose(delay(wave, 0.37), series(wave, np.arange(n) - 0.37), atol=1e-10)


def test_echoes_are_a_circular_convolution() -> None:
    wave = random_phases(96)
    gains, lags = np.array([0.8, 0.3j, -0.1]), np.array([0.0, 2.0, 3.5])
    expected = sum(g * series(wave, np.arange(96) - lag) for g, lag in zip(gains, lags, strict=True))
    assert np.allclose(echo(wave, gains, lags), expected, atol=1e-10)


def test_padding_keeps_the_burst_and_room_for_a_tail() -> None:
    burst = padded(random_phases(100), tail=40)
    assert np.array_equal(burst[EDGE : EDGE + 100], random_phases(100))
    assert not burst[:EDGE].any() and not burst[EDGE + 100 :].any() and burst.size >= 100 + 2 * EDGE + 40


@pytest.mark.parametrize("ratio", [1.0 + 40e-6, 1.0 - 25e-6])
def test_clocked_wave_is_the_fourier_sum_at_its_own_instants(ratio: float) -> None:
    wave, n = random_phases(200), 3000
    heard = ClockedWave(wave, True, ratio).heard(3.37, n)
    error = heard - series(wave, 3.37 + np.arange(n) * ratio)
    assert 10 * np.log10((np.abs(error) ** 2).mean()) < -50.0  # white up to half the rate: the worst there is
    tone = np.exp(2j * np.pi * 5 * np.arange(200) / 200)
    slow = ClockedWave(tone, True, ratio).heard(0.0, n)
    assert np.allclose(slow, np.exp(2j * np.pi * 5 * np.arange(n) * ratio / 200), atol=2e-3)


def test_clocked_burst_is_silent_before_and_after() -> None:
    burst = ClockedWave(padded(np.ones(200, dtype=np.complex128)), False, 1.0 + 2e-5)
    assert not burst.heard(-500.0, 400).any() and not burst.heard(1000.0, 50).any()
    assert np.allclose(burst.heard(EDGE + 50.0, 100), 1.0, atol=5e-3)
