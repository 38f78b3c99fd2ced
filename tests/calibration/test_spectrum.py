"""What a silent channel holds, against channels whose content is known."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.spectrum import observe
from radio.tone import phasor

RATE = 1e6


def white(n: int, variance: float, draws: np.random.Generator) -> np.ndarray:
    return np.sqrt(variance / 2) * (draws.standard_normal(n) + 1j * draws.standard_normal(n))


@pytest.mark.parametrize("disturbed", [False, True])
def test_floor_covers_and_is_near_its_bound(disturbed: bool) -> None:
    """CRB of the variance of complex Gaussian noise: v / sqrt(N). 95 % of 200 is 190 +- 3.1; lines and bursts are not noise."""
    n, trials, covered, widths = 1 << 14, 200, 0, []
    for seed in range(trials):
        draws = np.random.default_rng(seed)
        variance = 10 ** draws.uniform(-6, -1)
        samples = white(n, variance, draws) + 3.0 * np.sqrt(variance)
        if disturbed:
            samples += 20.0 * np.sqrt(variance) * phasor(draws.uniform(-0.5, 0.5), n)
        found = observe(samples, RATE)
        covered += abs(found.floor - variance) <= 1.96 * found.standard_error
        widths.append(found.standard_error / (variance / np.sqrt(n)))
    assert covered >= 180
    assert np.mean(widths) < 2.0


def test_a_burst_leaves_the_floor_where_it_is_and_is_counted() -> None:
    """5 of 64 windows of 1024; half of one is enough to be seen."""
    samples = white(1 << 16, 1e-3, np.random.default_rng(3))
    samples[10 * 1024 : 14 * 1024 + 512] += white(4 * 1024 + 512, 0.1, np.random.default_rng(4))
    found = observe(samples, RATE)
    assert abs(found.floor - 1e-3) < 3 * found.standard_error
    assert found.bursts == 5 / 64
    assert found.foreign == pytest.approx(4.5 / 64 * 0.1, rel=0.15)


def test_lines_are_named_with_frequency_and_level() -> None:
    n = 1 << 16
    samples = white(n, 1e-4, np.random.default_rng(1))
    samples += 0.1 * phasor(0.12345, n) + 0.003 * phasor(-0.3, n) + 0.2  # the last is the receiver's own
    found = observe(samples, RATE)
    assert [round(line.middle_hz / 1e2) for line in found.lines] == pytest.approx([1234, -3000], abs=1)
    for line, amplitude in zip(found.lines, (0.1, 0.003), strict=True):
        assert abs(line.power - amplitude**2) < max(4 * line.standard_error, 1e-3 * amplitude**2)
    assert found.dc == pytest.approx(0.2, abs=1e-3)
    assert found.foreign == pytest.approx(0.01, rel=0.03)


def test_a_wide_signal_has_two_ends() -> None:
    draws, n = np.random.default_rng(2), 1 << 16
    spectrum = np.where(np.abs(np.fft.fftfreq(n) - 0.2) < 0.05, np.fft.fft(white(n, 1e-2, draws)), 0.0)
    found = observe(white(n, 1e-4, draws) + np.fft.ifft(spectrum), RATE)
    (line,) = found.lines
    assert line.low_hz == pytest.approx(150e3, abs=3e3) and line.high_hz == pytest.approx(250e3, abs=3e3)
    assert line.power == pytest.approx(1e-3, rel=0.05)


def test_noise_alone_is_hardly_ever_called_a_signal() -> None:
    """One of 10,000 spectra by design; of 100 none, but with probability 1 %."""
    false = sum(bool(observe(white(1 << 14, 1.0, np.random.default_rng(s)), RATE).lines) for s in range(100))
    assert false == 0
    assert observe(np.zeros(1 << 14, dtype=np.complex128), RATE).lines == ()
