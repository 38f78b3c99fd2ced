"""Gains over time, of all devices at once."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.series import APART_BINS, OFFSETS_S, WINDOW, tones_apart, watch
from radio.fading import Fading
from radio.impairments import Impairments
from radio.surroundings import Surroundings


def rig_of(devices: int, noise: float = 1e-4, doppler_hz: float = 0.0, **vices: float) -> LoopbackRig:
    kind = "rayleigh" if doppler_hz else "static"
    fading = Fading(devices, 3, kind, doppler_hz=doppler_hz, round_s=1.0 if doppler_hz else 0.0)
    return LoopbackRig(Surroundings(fading, noise, 3, impairments=Impairments(**vices)))


@pytest.mark.parametrize("devices", [1, 5, 16])
def test_tones_arrive_apart_and_above_the_carrier(devices: int) -> None:
    draws = np.random.default_rng(3).uniform(-45e3, 45e3, devices)
    cycles = tones_apart(draws, 1e6, 45.75e3)
    arriving = np.sort(np.asarray(cycles) * WINDOW + draws / 1e6 * WINDOW)
    assert (np.diff(arriving) >= APART_BINS).all() and arriving[0] > 5 and arriving[-1] < 0.45 * WINDOW
    leaks = draws / 1e6 * WINDOW
    assert np.abs(arriving[:, None] - leaks[None, :]).min() >= APART_BINS
    assert all(round(c * WINDOW) % 2 == 1 for c in cycles)


def test_too_many_tones_are_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        tones_apart([0.0] * 230, 1e6, 45e3)


def test_gains_of_devices_together_are_those_of_the_channel() -> None:
    rig = rig_of(4, oscillator_ppm=10.0, drift_ppm_per_s=0.02)
    offsets = list(rig.medium.offsets_hz)
    heard = watch(rig, range(4), offsets, [0.2] * 4, 3.0)
    truth = np.abs(rig.medium.gains) * 10 ** (rig.receiver.receive_gain_db / 20)
    deviations = (np.abs(heard.gains) - truth[:, None]) / heard.errors
    assert heard.problem == "" and heard.gains.shape == (4, heard.times_s.size)
    assert np.abs(deviations.mean()) < 0.3 and 0.85 < deviations.std() < 1.2
    assert heard.times_s[-1] == pytest.approx(3.0, rel=0.35) and (np.diff(heard.times_s) > 0).all()
    assert np.allclose(np.diff(heard.times_s[: len(OFFSETS_S)]), np.diff(OFFSETS_S), atol=2e-6)
    assert rig.medium.on_air == ()


def test_phases_of_a_group_hold_with_one_reference() -> None:
    rig = rig_of(2)
    heard = watch(rig, [0, 1], [0.0, 0.0], [0.3, 0.3], 2.0)
    for row in range(2):
        for number in np.unique(heard.group):
            gains = heard.gains[row, heard.group == number]
            spread = np.angle(gains * np.conj(gains[0]))
            assert np.abs(spread).max() < 6.0 * heard.errors[row, 0] / abs(gains[0])


def test_a_moving_channel_is_followed() -> None:
    rig = rig_of(1, 1e-6, doppler_hz=1.0)
    begin = rig.medium.clock / 1e6
    heard = watch(rig, [0], [0.0], [0.2], 4.0)
    truth = np.abs(rig.medium.fading.track(0, begin + WINDOW / 2e6 + heard.times_s)[0])
    got = np.abs(heard.gains[0]) / 10 ** (rig.receiver.receive_gain_db / 20)
    assert np.allclose(got, truth, atol=0.01) and np.ptp(truth) > 0.3


def test_a_full_receiver_is_named() -> None:
    rig = rig_of(2)
    rig.receiver.receive_gain_db += 30.0
    assert watch(rig, [0, 1], [0.0, 0.0], [1.0, 1.0], 1.0).problem == "saturated"
