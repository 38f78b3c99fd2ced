from __future__ import annotations

import math

import numpy as np
import pytest

from radio.air import Air
from radio.errors import InputError
from radio.fading import Fading
from radio.inversion import plan_inversion
from radio.loopback_air import loopback_air, noise_variance_of, receive_gain_plan_db


def test_snr_convention() -> None:
    # SNR = P E|h|^2 / N0 with N0 = E|n|^2 / (2 M): 13 dB, window 1000, path gain 1/4.
    n0 = noise_variance_of(13.0, 1000, 0.25) / (2 * 1000)
    assert 10 * math.log10(0.25 / n0) == pytest.approx(13.0)


def test_gain_plan_fits_signal_and_noise_and_is_fixed() -> None:
    loud = receive_gain_plan_db(Fading(5, 1, "static"), 0.0)
    assert 5 * 10 ** (loud / 20) == pytest.approx(10 ** (-1 / 20))  # five coherent devices, 1 dB below full scale
    noisy = receive_gain_plan_db(Fading(5, 1, "static"), 200.0)
    assert 10 ** (noisy / 20) * (5 + 5 * 10.0) == pytest.approx(10 ** (-1 / 20))  # 5 sigma of a rail, sigma = 10


@pytest.mark.parametrize("fading", ["rayleigh", "rician", "static"])
def test_whole_rounds_with_everything_wrong_at_once(fading: str) -> None:
    air: Air = loopback_air(
        5, 8, fading=fading, path_loss_db=[70.0, 71.0, 72.0, 73.0, 74.0], coherence_rounds=2, snr_db=45.0,
        offset_hz=3.0, timing_samples=6.0, window=1024, pilot_window=1500, dac_bits=12, adc_bits=10,
    )  # fmt: skip
    normalised, erased = [], 0
    for t in range(30):
        plan = plan_inversion(air.sound(t), 1.0, truncation=0.1)
        payloads = np.linspace(-1, 1, 10).reshape(5, 2) * (-1) ** t
        got = air.aggregate(t, payloads, plan)
        if got.erased:
            erased += 1
            continue
        normalised += list((got.total - payloads[plan.active].sum(axis=0)) ** 2 / got.variance)
    air.close()
    assert erased <= 1
    # The predicted variance is the receiver's noise; errors of the estimated channel come on top, of the same order.
    assert 0.5 < np.mean(normalised) < 8.0


def test_low_snr_tone_below_the_noise_is_measured_through_the_adc() -> None:
    air = loopback_air(2, 8, fading="static", snr_db=20.0, window=4096, adc_bits=8)
    state = air.sound(0)
    assert (np.abs(state.gains) ** 2 < 0.1 * state.noise_variance).all()  # far below the noise in a sample
    got = air.aggregate(0, np.array([[1.0] * 40, [0.5] * 40]), plan_inversion(state, 1.0))
    assert got.total.mean() == pytest.approx(1.5, abs=0.3)
    assert got.total.std() == pytest.approx(0.1, rel=0.5)


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="snr_db"):
        loopback_air(2, 0, snr_db=math.inf)
    with pytest.raises(InputError, match="window"):
        loopback_air(2, 0, window=10)
    with pytest.raises(InputError, match="fading"):
        loopback_air(2, 0, fading="awgn")  # type: ignore[arg-type]
