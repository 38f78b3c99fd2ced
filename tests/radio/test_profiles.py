from __future__ import annotations

import numpy as np
import pytest

from radio.errors import InputError
from radio.impairments import NONE
from radio.profiles import PROFILES, profile
from radio.surroundings import from_profile


def test_names_and_an_unknown_one() -> None:
    assert set(PROFILES) == {"pluto-bench", "pluto-room", "textbook"}
    with pytest.raises(InputError, match="pluto-bench, pluto-room, textbook"):
        profile("rooftop")


def test_textbook_is_rayleigh_block_fading_and_white_noise_only() -> None:
    book = profile("textbook")
    assert book.fading == "rayleigh" and book.impairments == NONE and not book.tap_delays_s and book.doppler_hz == 0.0


def test_bench_is_static_and_free_running_until_a_clock_is_shared() -> None:
    bench = profile("pluto-bench")
    medium = from_profile("pluto-bench", 5, 1).medium()
    assert np.array_equal(medium.fading.gains(0), medium.fading.gains(100))
    assert np.abs(medium.offsets_hz).max() > 1000.0 and np.abs(medium.offsets_hz).max() < 2 * 20e-6 * 915e6
    shared = from_profile("pluto-bench", 5, 1, shared_clock=True).medium()
    assert not shared.offsets_hz.any() and np.array_equal(shared.gains, medium.gains)
    assert shared.impairments.start_jitter_s == bench.impairments.start_jitter_s == 0.05


@pytest.mark.parametrize("name", list(PROFILES))
def test_noise_is_relative_to_the_mean_gain_power(name: str) -> None:
    medium = from_profile(name, 6, 2).medium()
    ratio = medium.fading.mean_power.mean() / medium.noise_variance
    assert 10 * np.log10(ratio) == pytest.approx(profile(name).sample_snr_db)
    medium.begin(3, "sound")
    assert np.isfinite(medium.capture(2000, 0.0)).all()
