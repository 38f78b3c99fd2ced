"""IQ stage, DAC and tone generators."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.emulator.wave import NEUTRAL, ONE, IqStage, Tone, Tones, Wave, converted


def ramp(n: int = 64) -> np.ndarray:
    return np.stack([np.arange(n) * 16, -np.arange(n) * 16 - 1], axis=1).astype(np.int16)


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_the_stage_multiplies_by_a_complex_number(real: float, imaginary: float) -> None:
    a, c = int(real * ONE), int(imaginary * ONE)
    codes = np.array([[12000, -5000], [-300, 15000], [0, 0]], dtype=np.int16)
    turned = IqStage(a, -c, a, c).apply(codes)
    expected = (codes[:, 0] + 1j * codes[:, 1]) * complex(a, c) / ONE
    assert np.abs(turned[:, 0] + 1j * turned[:, 1] - expected).max() <= 2**0.5


def test_the_neutral_stage_changes_no_bit_and_a_large_one_saturates() -> None:
    assert np.array_equal(NEUTRAL.apply(ramp()), ramp())
    full = np.array([[32767, -32768]], dtype=np.int16)
    assert IqStage(2 * ONE - 1, 0, 2 * ONE - 1, 0).apply(full).tolist() == [[32767, -32768]]


def test_the_dac_takes_the_twelve_upper_bits() -> None:
    codes = np.array([[32767, -32768], [15, 16], [-1, 0]], dtype=np.int16)
    assert converted(codes).tolist() == [2047 / 2048 - 1j, 1j / 2048, -1 / 2048]


def test_played() -> None:
    wave = Wave(ramp(8), True, 0.0)
    assert np.array_equal(wave.played(6, 4), ramp(8)[[6, 7, 0, 1]])
    assert np.array_equal(wave.played(-2, 4), np.concatenate([np.zeros((2, 2)), ramp(8)[:2]]))
    assert not wave.played(-10, 4).any()
    burst = Wave(ramp(8), False, 0.0)
    assert np.array_equal(burst.played(6, 4), np.concatenate([ramp(8)[6:], np.zeros((2, 2))]))
    assert np.array_equal(burst.played(-2, 12), np.concatenate([np.zeros((2, 2)), ramp(8), np.zeros((2, 2))]))
    assert not burst.played(8, 4).any()


def test_tones_as_pyadi_sets_them_are_one_side_band() -> None:
    tone = Tone(0.5, 125e3, 90.0)
    tones = Tones((tone, Tone(), tone._replace(phase_deg=0.0), Tone()), 0.0)
    codes = tones.codes(np.arange(64) / 1e6)
    expected = 0.5 * 32767 * np.exp(2j * np.pi * 0.125 * np.arange(64))
    assert np.abs(codes[:, 0] + 1j * codes[:, 1] - expected).max() < 1.0
    assert not tones.silent
    assert Tones((Tone(), Tone(), Tone(), Tone()), 0.0).silent


def test_a_staged_wave_starts_when_the_old_one_did() -> None:
    wave = Wave(ramp(), True, 1.5)
    half = wave.staged(IqStage(ONE // 2, 0, ONE // 2, 0))
    assert half.start_s == wave.start_s
    assert half.analog == pytest.approx(wave.analog / 2, abs=1.5 / 2048)
