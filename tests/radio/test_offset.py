from __future__ import annotations

import numpy as np
import pytest

from radio.offset import acquire_offset
from radio.pilot import estimate_gain
from radio.streams import stream
from radio.symbol_channel import complex_normal

RATE = 1e6


def tone(n: int) -> np.ndarray:
    return np.exp(2j * np.pi * 0.0157 * np.arange(n))


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_one_pilot_attains_the_bound_anywhere_in_the_range(snr_db: float) -> None:
    """6 sigma^2 / (|h|^2 N (N^2 - 1)) for omega: Rife & Boorstyn 1974."""
    n, variance, draws, errors = 512, 10 ** (-snr_db / 10), stream(1, "acquire", int(snr_db)), []
    for _ in range(600):
        hz = draws.uniform(-35e3, 35e3)
        pilot = np.exp(2j * np.pi * (hz * np.arange(n) / RATE + draws.random())) * tone(n)
        found = acquire_offset(
            pilot + complex_normal(draws, (n,), variance), tone(n), rate_sps=RATE, noise_variance=variance, range_hz=4e4
        )
        assert found.trusted and found.snr_db == pytest.approx(snr_db + 10 * np.log10(n), abs=2.5)
        errors.append(found.offset_hz - hz)
    bound = 6 * variance / (n * (n**2 - 1)) * (RATE / (2 * np.pi)) ** 2
    assert abs(10 * np.log10(np.mean(np.square(errors)) / bound)) < 0.8
    assert found.standard_error_hz**2 == pytest.approx(bound, rel=0.3)


def test_noise_alone_is_not_trusted() -> None:
    draws, trusted = stream(2, "noise"), 0
    for _ in range(300):
        noise = complex_normal(draws, (256,), 2.0)
        trusted += acquire_offset(noise, tone(256), rate_sps=RATE, noise_variance=2.0, range_hz=1e5).trusted
    assert trusted == 0


def test_range_is_kept() -> None:
    pilot = tone(256) * np.exp(2j * np.pi * 0.05 * np.arange(256))  # 50 kHz
    found = acquire_offset(pilot, tone(256), rate_sps=RATE, noise_variance=1e-3, range_hz=1e4)
    assert abs(found.offset_hz) < 1.5e4


def test_second_stage_takes_the_first_to_the_bound_of_all_pilots() -> None:
    """Pilots 20 ms apart repeat their likelihood every 50 Hz; one alone errs by 1 Hz, both together by 0.02 Hz."""
    n, starts, variance, draws = 2048, [0, 20_000], 0.1, stream(3, "two stages")
    times = np.array(starts)[:, None] + np.arange(n)
    spread = ((times - times.mean()) ** 2).sum()
    errors = []
    for _ in range(250):
        hz = draws.uniform(-2e4, 2e4)
        pilots = np.exp(2j * np.pi * (hz * times / RATE + draws.random())) * tone(n)
        pilots = pilots + complex_normal(draws, times.shape, variance)
        first = acquire_offset(pilots[0], tone(n), rate_sps=RATE, noise_variance=variance, range_hz=2e4)
        refined = estimate_gain(
            pilots, starts, tone(n), rate_sps=RATE, noise_variance=variance,
            offset_prior_hz=3 * first.standard_error_hz, offset_mean_hz=first.offset_hz,
        )  # fmt: skip
        assert refined.margin > np.log(1e4)
        errors.append(refined.offset_hz - hz)
    bound = variance / (2 * spread) * (RATE / (2 * np.pi)) ** 2
    assert abs(10 * np.log10(np.mean(np.square(errors)) / bound)) < 1.0
    assert refined.offset_variance == pytest.approx(bound, rel=0.1)
