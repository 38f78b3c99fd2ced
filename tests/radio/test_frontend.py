from __future__ import annotations

import math

import numpy as np
import pytest

from radio.frontend import Amplifier, GainControl, Mixer, StepGain, amplifier, mixers
from radio.impairments import NONE, Impairments
from radio.streams import stream


def test_ideal_mixer_returns_its_input() -> None:
    transmit, receive = mixers(NONE, 3, 1)
    samples = np.ones(4, dtype=np.complex128)
    assert all(mixer.ideal and mixer.mix(samples) is samples for mixer in (*transmit, receive))


def test_image_is_the_textbook_ratio() -> None:
    """(1 + a^2 - 2 a cos phi) / (1 + a^2 + 2 a cos phi) of a tone's power appears at minus its frequency."""
    mixer = Mixer(0.5, 3.0, 0.0)
    a, phi = 10 ** (0.5 / 20), math.radians(3.0)
    expected = 10 * math.log10((1 + a**2 - 2 * a * math.cos(phi)) / (1 + a**2 + 2 * a * math.cos(phi)))
    assert mixer.image_db == pytest.approx(expected, abs=1e-9)
    spectrum = np.fft.fft(mixer.mix(np.exp(2j * np.pi * 5 * np.arange(64) / 64)))
    assert 20 * math.log10(abs(spectrum[-5]) / abs(spectrum[5])) == pytest.approx(expected, abs=1e-9)


def test_leak_is_a_constant_of_its_level() -> None:
    settings = Impairments(lo_leakage_dbfs=-40.0, dc_offset_dbfs=-26.0)
    transmit, receive = mixers(settings, 2, 5)
    silence = np.zeros(3, dtype=np.complex128)
    assert np.allclose(np.abs(transmit[0].mix(silence)), 0.01) and np.allclose(np.abs(receive.mix(silence)), 10**-1.3)
    assert transmit[0].leak != transmit[1].leak


def test_gain_steps_round_and_each_has_its_own_fixed_error() -> None:
    plain = StepGain(Impairments(gain_step_db=0.25), 0, 1)
    assert plain.amplitude(-10.1) == pytest.approx(10 ** (-10.0 / 20)) and plain.amplitude(0.0) == 1.0
    assert StepGain(NONE, 0, 1).amplitude(-10.1) == pytest.approx(10 ** (-10.1 / 20))
    wrong = [StepGain(Impairments(gain_step_db=0.25, gain_error_db=0.1), k, 1) for k in range(2)]
    errors = np.array([[20 * math.log10(w.amplitude(-g / 4)) + g / 4 for g in range(300)] for w in wrong])
    assert errors.std() == pytest.approx(0.1, rel=0.15) and not np.allclose(errors[0], errors[1])
    assert wrong[0].amplitude(-5.0) == wrong[0].amplitude(-5.05)  # the same step


def test_automatic_gain_reaches_its_target_and_keeps_it() -> None:
    settings = Impairments(agc=True, agc_target_dbfs=-12.0, agc_time_s=1e-4)
    control, draws = GainControl(settings, 1e6), stream(2, "agc")
    for level in (1e-2, 1.0):
        noise = level * draws.standard_normal((4000, 2)) @ np.array([1.0, 1j])
        settled = control.level(noise)[2000:]
        assert 10 * math.log10((np.abs(settled) ** 2).mean()) == pytest.approx(-12.0, abs=1.0)
    before = control.correction_db
    assert abs(control.level(np.zeros(50, dtype=np.complex128))).max() == 0.0 and control.correction_db != before


def test_amplifier_is_one_decibel_down_where_its_output_is_the_compression_point() -> None:
    for compression_dbfs, drive_db in ((-3.0, 0.0), (-20.0, 0.0), (-20.0, -12.0)):
        amplify, drive = Amplifier(compression_dbfs), 10 ** (drive_db / 20)
        wanted = 10 ** ((compression_dbfs + 1.0) / 20) / drive  # a straight line would put out 1 dB more
        got = amplify.amplify(np.array([1j * wanted]), drive)[0]
        assert 20 * math.log10(abs(got) * drive) == pytest.approx(compression_dbfs, abs=1e-9)
        assert got.real == pytest.approx(0.0, abs=1e-12)  # the phase stays


def test_amplifier_is_linear_below_and_limits_above() -> None:
    amplify = Amplifier(-3.0)
    small = np.array([1e-3 + 2e-3j])
    assert np.allclose(amplify.amplify(small, 1.0), small, rtol=1e-8)
    assert abs(amplify.amplify(np.array([1e3 + 0j]), 1.0)[0]) == pytest.approx(amplify.saturation, rel=1e-9)
    ones = np.ones(3, dtype=np.complex128)
    assert amplify.amplify(ones, 0.0) is ones
    assert amplifier(NONE) is None and amplifier(Impairments(compression_dbfs=-3.0)) is not None
