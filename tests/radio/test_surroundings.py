from __future__ import annotations

import math

import numpy as np
import pytest

from radio.errors import InputError
from radio.profiles import PROFILES
from radio.surroundings import EDGE_SAMPLES, from_profile, from_settings


def test_free_running_clocks_set_what_receivers_must_expect() -> None:
    place = from_profile("pluto-bench", 3, 1)
    assert place.oscillator_hz == pytest.approx(2 * 20e-6 * 915e6)  # a device's and the receiver's tolerance
    assert place.offset_max_hz >= place.oscillator_hz
    # The difference of two uniform draws in +-a has the standard deviation a sqrt(2/3).
    assert place.offset_std_hz == pytest.approx(20e-6 * 915e6 * math.sqrt(2 / 3))
    assert place.guard_samples == 50_000 + EDGE_SAMPLES
    assert np.abs(place.medium().offsets_hz).max() <= place.offset_max_hz
    shared = from_profile("pluto-bench", 3, 1, shared_clock=True)
    assert shared.oscillator_hz == shared.offset_max_hz == 0.0 and shared.guard_samples == place.guard_samples


def test_settings_of_a_common_clock_expect_nothing() -> None:
    place = from_settings(2, 1, window=1000, snr_db=13.0)
    assert place.offset_max_hz == place.offset_std_hz == 0.0 and place.guard_samples == 0 and place.pilot_repeats == 1
    assert place.noise_variance == pytest.approx(2 * 1000 / 10**1.3)
    loose = from_settings(2, 1, window=1000, offset_hz=5.0, timing_samples=10.5)
    assert loose.offset_max_hz == 20.0 and loose.guard_samples == 11 + EDGE_SAMPLES and loose.pilot_repeats == 2


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_medium_and_symbols_see_the_same_channel(name: str) -> None:
    place = from_profile(name, 4, 9)
    medium, symbols = place.medium(), place.symbols()
    medium.begin(3, "sound")
    np.testing.assert_allclose(symbols.gains(3), medium.gains)
    assert symbols.noise_variance == medium.noise_variance == place.noise_variance
    mean = place.channel.mean_power.mean()
    assert 10 * math.log10(mean / place.noise_variance) == pytest.approx(PROFILES[name].sample_snr_db)


def test_noiseless_is_not_a_decibel() -> None:
    with pytest.raises(InputError, match="snr_db is inf"):
        from_settings(1, 1, window=64, snr_db=math.inf)
