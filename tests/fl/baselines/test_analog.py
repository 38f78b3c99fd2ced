"""Analog averaging: the error's variance is the closed form, and inversion leaves nothing else behind."""

from __future__ import annotations

import numpy as np
import pytest

from fl.baselines.analog import AnalogUplink
from fl.config import Radio
from radio.fading import Fading

DEVICES, SEED = 6, 5


def uplink(**settings):
    return AnalogUplink(Radio(**{"mode": "coherent", "snr_db": 10.0, "truncation": 0.2, **settings}), DEVICES, SEED)


def test_ideal_air_averages_exactly_and_nobody_sits_out():
    air = uplink(mode="ideal")
    vectors = np.random.default_rng(1).normal(size=(DEVICES, 40)).astype(np.float32)
    assert list(air.active(0)) == list(range(DEVICES))
    np.testing.assert_array_equal(air.mean(0, vectors), vectors.mean(axis=0))
    assert air.error_variance(0, vectors) == 0


def test_who_transmits_is_decided_by_the_gains_alone():
    sitting_out = 0
    for t in range(20):
        power = np.abs(Fading(DEVICES, SEED, "rayleigh").gains(t)) ** 2
        np.testing.assert_array_equal(uplink().active(t), np.flatnonzero(power >= 0.2 * power.mean()))
        sitting_out += DEVICES - len(uplink().active(t))
    assert sitting_out > 0


@pytest.mark.parametrize("path_loss_db", [0.0, 6.0])
def test_the_error_has_the_variance_of_the_closed_form(path_loss_db):
    """SNR = E|h|^2 / N0 at full scale; the weakest device sets the amplitude, the largest vector the scale."""
    size, t = 40_000, 3
    air = uplink(path_loss_db=path_loss_db)
    gains = Fading(DEVICES, SEED, "rayleigh", path_loss_db=path_loss_db).gains(t)
    active = air.active(t)
    vectors = np.random.default_rng(2).normal(size=(len(active), size)) * np.linspace(0.5, 2.0, len(active))[:, None]
    noise = 10 ** (-path_loss_db / 10) / 10.0
    rms = max(float(np.linalg.norm(v)) / size**0.5 for v in vectors)
    expected = noise * rms**2 / (len(active) ** 2 * min(abs(gains[k]) ** 2 for k in active))
    error = air.mean(t, vectors) - vectors.mean(axis=0)
    assert air.error_variance(t, vectors) == pytest.approx(expected, rel=1e-12)
    # chi-squared with 40,000 degrees of freedom: relative deviation 0.7 %
    assert error.var() == pytest.approx(expected, rel=0.035)
    assert abs(error.mean()) < 5 * (expected / size) ** 0.5


def test_errors_of_rounds_are_public_draws_and_independent():
    vectors = np.ones((DEVICES, 2000))
    air = uplink(fading="static")
    first, again, other = (air.mean(t, vectors) - 1.0 for t in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.12  # 5 standard deviations


def test_a_static_channel_keeps_everybody_and_its_error_falls_with_the_number_of_devices():
    vectors = np.ones((DEVICES, 3))
    assert uplink(fading="static").error_variance(0, vectors) == pytest.approx(0.1 / DEVICES**2)


def test_vectors_of_zeros_arrive_as_zeros():
    np.testing.assert_array_equal(uplink().mean(0, np.zeros((len(uplink().active(0)), 5))), np.zeros(5))
