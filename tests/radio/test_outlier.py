from __future__ import annotations

import numpy as np
import pytest

from radio.outlier import block_count, block_statistics, floor_change, gain_dropped, noise_limit
from radio.streams import stream
from radio.symbol_channel import complex_normal
from radio.tone import Tone


def statistics(samples: np.ndarray, window: int):
    tone = Tone(window)
    found = tone.project(samples)
    return block_statistics(
        samples, tone.samples(window), found.amplitude, dc=found.dc, image=found.image,
        noise_variance=found.noise_variance, noise_bins=tone.noise_bins,
    )  # fmt: skip


@pytest.mark.parametrize("window", [64, 256, 4096])
def test_white_noise_with_tone_dc_and_image_raises_no_alarm(window: int) -> None:
    draws, wave = stream(1, "quiet", window), Tone(window).samples(window)
    for _ in range(400):
        samples = 3.0 * wave + 2.0 + 0.5j * wave.conj() + complex_normal(draws, (window,), 1.0)
        found = statistics(samples, window)
        assert not found.burst and not found.wander


def test_a_burst_far_below_the_windows_own_threshold_is_found() -> None:
    """3 dB over the noise in a sixteenth of the window: the mean residual rises by 0.5 dB only."""
    window, draws, found = 4096, stream(2, "burst"), []
    for _ in range(60):
        samples = complex_normal(draws, (window,), 1.0)
        samples[1024:1280] += complex_normal(draws, (256,), 2.0)
        found.append(statistics(samples, window))
    assert all(f.burst for f in found)
    assert np.mean([f.burst_power for f in found]) == pytest.approx(2.0, rel=0.1)
    assert np.mean([f.burst_db for f in found]) == pytest.approx(10 * np.log10(3.0), abs=0.3)


def test_an_interferer_on_the_tone_for_part_of_the_window_wanders() -> None:
    window, draws = 4096, stream(3, "wander")
    wave = Tone(window).samples(window)
    samples = 1.0 * wave + complex_normal(draws, (window,), 1.0)
    samples[:1024] += 0.5 * wave[:1024]
    found = statistics(samples, window)
    # A quarter of the blocks 0.5 higher: variance 0.25 * 0.75 * 0.5^2 about their mean.
    assert found.wander and found.wander_power == pytest.approx(0.25 * 0.75 * 0.25, rel=0.3)


def test_noise_that_falls_is_a_receive_gain_that_moved() -> None:
    assert gain_dropped(1.0, 0.4, 4000) and not gain_dropped(1.0, 0.6, 4000)
    assert not gain_dropped(1.0, 0.4, 20)  # of 20 bins, that may be chance
    assert not gain_dropped(1.0, 3.0, 4000) and not gain_dropped(0.0, 0.0, 4000)


def test_floor_that_changed_either_way_beyond_chance_and_our_own() -> None:
    assert [floor_change(1.0, now, 4087) for now in (0.8, 0.9, 1.1, 1.25)] == [-1, 0, 0, 1]
    assert floor_change(1.0, 1.9, 4087, added=1.0) == 0 and floor_change(1.0, 2.5, 4087, added=1.0) == 1
    assert floor_change(1.0, 3.0, 4087, quantisation=1.0) == 0 and floor_change(3.0, 1.0, 4087, quantisation=1.0) == 0
    assert floor_change(0.0, 0.0, 4087) == 0


def test_noise_limit_is_an_f_law() -> None:
    """The survival function of F(2, d) is (1 + 2 x / d)^(-d / 2), d = 2 ln(2)^2 * bins of the median."""
    degrees = 2 * np.log(2) ** 2 * 512
    assert noise_limit(1, 512, 10) == pytest.approx(degrees / 2 * ((1e-7) ** (-2 / degrees) - 1), rel=1e-6)


def test_blocks_are_at_most_sixteen_of_at_least_sixteen_samples() -> None:
    assert [block_count(w) for w in (64, 128, 256, 16384)] == [4, 8, 16, 16]
