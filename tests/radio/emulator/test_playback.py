"""Waveforms between their samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.delay import ClockedWave, padded
from radio.emulator.playback import Playback

N = 1000


@given(
    cycles=st.integers(-125, 125),
    position=st.floats(-1e5, 1e5),
    drift=st.floats(-1e-3, 1e-3),
    n=st.integers(1, 3000),
)
def test_a_tone_is_heard_where_the_clock_says(cycles: int, position: float, drift: float, n: int) -> None:
    tone = np.exp(2j * np.pi * cycles * np.arange(N) / N)
    position = round(position, 3)
    heard = Playback(tone, True).heard(position, 1.0 + drift, n)
    expected = np.exp(2j * np.pi * cycles / N * (position + (1.0 + drift) * np.arange(n)))
    # (2 pi f d)^3 / 6 with f = 1/8 and d = 1/16, and the rounding of a fixed fraction to 1e-4 of a sample
    assert np.abs(heard - expected).max() < 3e-5 + 2 * np.pi * 0.125 * 1e-4


def test_at_half_the_rate_the_error_is_58_db_down() -> None:
    tone = np.exp(2j * np.pi * 499 * np.arange(N) / N)
    heard = Playback(tone, True).heard(0.3, 1.00002, 5000)
    error = np.abs(heard - np.exp(2j * np.pi * 0.499 * (0.3 + 1.00002 * np.arange(5000)))).max()
    assert error < 10 ** (-57 / 20)


def test_equal_clocks_on_the_grid_change_nothing() -> None:
    wave = np.random.default_rng(1).standard_normal(2 * N).view(np.complex128)
    assert np.array_equal(Playback(wave, True).heard(-3.0, 1.0, 2 * N), np.tile(np.roll(wave, 3), 2))


def test_a_burst_is_silent_before_and_after() -> None:
    burst = padded(np.ones(100, dtype=np.complex128))
    for ratio in (1.0, 1.00002):
        heard = Playback(burst, False).heard(-50.0, ratio, 400)
        assert not heard[:50].any()
        assert np.allclose(heard[100:160], 1.0, atol=0.05)
        assert not heard[50 + burst.size + 1 :].any()


@pytest.mark.parametrize("cyclic", [True, False])
def test_it_agrees_with_the_loopbacks_clocked_wave(cyclic: bool) -> None:
    draws = np.random.default_rng(2)
    lines = np.zeros(N, dtype=np.complex128)
    lines[:150] = draws.standard_normal(300).view(np.complex128)  # band-limited: both interpolate well
    wave = np.fft.ifft(lines) * N / 15.0
    if not cyclic:
        wave = padded(wave * np.hanning(N))
    for position in (0.37, 212.9):
        ours = Playback(wave, cyclic).heard(position, 1.00003, 700)
        theirs = ClockedWave(wave, cyclic, 1.00003).heard(position, 700)
        assert np.abs(ours - theirs).max() < 3e-3 * np.abs(wave).max()
