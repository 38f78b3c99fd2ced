"""White Gaussian noise: its moments, its tails, its independence from sample to sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from radio.emulator.noise import cheap_stream, white_noise

N = 200_000


def test_rails_are_gaussian_and_uncorrelated() -> None:
    noise = white_noise(cheap_stream(1, "test"), N, 0.5)
    for rail in (noise.real, noise.imag):
        assert stats.kstest(rail / 0.5, "norm").pvalue > 0.01
        assert stats.kurtosis(rail) == pytest.approx(0.0, abs=5 * np.sqrt(24 / N))
    assert abs(np.mean(noise.real * noise.imag)) < 5 * 0.25 / np.sqrt(N)
    for lag in range(1, 9):
        assert abs(np.vdot(noise[lag:], noise[:-lag])) / N < 5 * 0.5 / np.sqrt(N)


def test_tails_are_there() -> None:
    """Beyond r: exp(-r^2) of the samples; 25 are expected beyond 3."""
    beyond = (np.abs(white_noise(cheap_stream(2, "test"), N, 1.0)) > 3.0).sum()
    assert abs(beyond - N * np.exp(-9.0)) < 5 * np.sqrt(N * np.exp(-9.0))


def test_streams_differ_by_name_and_repeat() -> None:
    one, two, again = (white_noise(cheap_stream(1, name), 64, 1.0) for name in ("a", "b", "a"))
    assert np.array_equal(one, again) and not np.array_equal(one, two)


def test_no_noise() -> None:
    assert not white_noise(cheap_stream(1), 64, 0.0).any()
