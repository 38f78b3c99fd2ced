from __future__ import annotations

import numpy as np
import pytest

from privacy.power import plan
from radio.air import ChannelState
from radio.equalisation import plan_equal_power


def state(gains: list[complex]) -> ChannelState:
    k = len(gains)
    return ChannelState(np.array(gains), np.zeros(k), np.zeros(k), 1e-6, np.ones(k, dtype=bool))


def test_everybody_arrives_aligned_and_the_weakest_fits_under_its_peak() -> None:
    channel = state([0.1 + 0.1j, -0.05j, 0.2, 0.001])
    noise_std = [0.1, 0.3, 0.2, 0.1]
    made = plan(channel, noise_std, saturation=1.0, truncation=0.01, backoff=4.0, peak_amplitude=0.8)
    assert made.active.tolist() == [True, True, True, False]
    assert made.payload_peak == pytest.approx(1.0 + 4.0 * 0.3)
    np.testing.assert_allclose(made.precoders[:3] * channel.gains[:3], made.alignment, rtol=1e-12)
    assert np.abs(made.precoders).max() * made.payload_peak == pytest.approx(0.8)
    assert made.precoders[3] == 0


def test_the_modes_own_rule_decides_how_devices_arrive() -> None:
    channel = state([0.1 + 0.1j, -0.05j, 0.2, 0.001])
    made = plan(channel, 0.3, saturation=1.0, truncation=0.01, peak_amplitude=0.8, rule=plan_equal_power)
    assert made.payload_peak == pytest.approx(1.0 + 4.0 * 0.3)
    power = np.abs(made.precoders[:3] * channel.gains[:3]) ** 2
    np.testing.assert_allclose(power, (0.05 * 0.8) ** 2, rtol=1e-12)
    np.testing.assert_allclose(made.precoders.imag, 0.0)  # no phase is known, so none is sent
