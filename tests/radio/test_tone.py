from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.errors import InputError
from radio.streams import stream
from radio.tone import Tone, phasor, tone_bin


def complex_noise(draws: np.random.Generator, shape: tuple[int, ...], variance: float) -> np.ndarray:
    return (draws.standard_normal(shape) + 1j * draws.standard_normal(shape)) * math.sqrt(variance / 2)


def test_reference_bin() -> None:
    assert tone_bin(16384) == 257


@given(st.integers(64, 70000))
def test_bin_is_coprime_off_dc_and_below_nyquist(window: int) -> None:
    k = tone_bin(window)
    assert math.gcd(k, window) == 1 and 9 <= k < window / 2


def test_small_window_is_refused() -> None:
    with pytest.raises(InputError, match="at least 64"):
        Tone(63)


@given(st.floats(-0.5, 0.5), st.integers(1, 700), st.floats(-1e6, 1e6))
def test_phasor_equals_the_exponential(frequency: float, n: int, start: float) -> None:
    # Phase rounding grows with the number of turns: 2 pi * 5e5 turns * 1e-16 relative.
    assert np.allclose(phasor(frequency, n, start), np.exp(2j * np.pi * frequency * (start + np.arange(n))), atol=3e-9)


def test_projection_is_least_squares_on_tone_with_dc() -> None:
    tone, draws = Tone(256), stream(1, "tone lstsq")
    y = complex_noise(draws, (256,), 1.0) + 0.7 * tone.samples(256) + (0.3 - 0.2j)
    design = np.stack([np.exp(2j * np.pi * tone.bin * np.arange(256) / 256), np.ones(256)], axis=1)
    assert tone.project(y).amplitude == pytest.approx(np.linalg.lstsq(design, y, rcond=None)[0][0], abs=1e-12)


def test_projection_is_unbiased_with_variance_sigma2_over_2m_in_each_dimension() -> None:
    tone, draws, sigma2, trials = Tone(256), stream(2, "tone noise"), 3.0, 3000
    truth = 0.05 - 0.02j
    noise = complex_noise(draws, (trials, 256), sigma2)
    estimates = [tone.project(truth * tone.samples(256) + n) for n in noise]
    amplitudes = np.array([e.amplitude for e in estimates])
    expected = sigma2 / (2 * 256)
    for rail, want in ((amplitudes.real, truth.real), (amplitudes.imag, truth.imag)):
        assert rail.mean() == pytest.approx(want, abs=4 * math.sqrt(expected / trials))
        assert rail.var() == pytest.approx(expected, rel=0.11)  # 4 standard errors, sqrt(2/3000)
    assert np.mean([e.standard_error**2 for e in estimates]) == pytest.approx(expected, rel=0.03)
    assert np.mean([e.residual_power for e in estimates]) == pytest.approx(sigma2, rel=0.02)


def test_start_turns_the_reference_instant() -> None:
    tone = Tone(128)
    later = tone.samples(160)[32:]
    assert tone.project(later, start=32).amplitude == pytest.approx(1.0, abs=1e-12)


def test_noise_is_robust_to_tone_dc_and_lines_but_the_residual_sees_lines() -> None:
    tone, draws, n = Tone(4096), stream(3, "tone robust"), np.arange(4096)
    line = 2.0 * np.exp(2j * np.pi * 700 * n / 4096)
    y = complex_noise(draws, (4096,), 1.0) + 50 * tone.samples(4096) + 20.0 + line
    estimate = tone.project(y)
    assert estimate.noise_variance == pytest.approx(1.0, rel=0.1)
    assert estimate.residual_power == pytest.approx(1.0 + 4.0, rel=0.1)


def test_wrong_length_is_refused() -> None:
    with pytest.raises(InputError, match="window is"):
        Tone(128).project(np.zeros(127, dtype=np.complex128))


def test_dc_and_image_are_measured_and_kept_out_of_amplitude_and_residual() -> None:
    tone, draws = Tone(1024), stream(4, "tone image")
    wave = tone.samples(1024)
    y = 2.0 * wave + (0.3 - 0.1j) + 0.2j * wave.conj() + complex_noise(draws, (1024,), 1e-4)
    found = tone.project(y)
    assert found.amplitude == pytest.approx(2.0, abs=2e-3)
    assert found.dc == pytest.approx(0.3 - 0.1j, abs=2e-3) and found.image == pytest.approx(0.2j, abs=2e-3)
    assert found.image_db == pytest.approx(-20.0, abs=0.1)
    assert found.residual_power == pytest.approx(1e-4, rel=0.2)  # the image alone would be 0.04
    assert tone.noise_bins == 1024 - 5 - 9  # DC and two bins either side, the tone and four
