"""What one unit hears of the others: amplitudes, offsets, delays and bands against formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radio.emulator.air import BLOCK_S, COUPLING_DB, Air, Listener, Sender
from radio.emulator.wave import Tone, Tones, Wave
from radio.frontend import Amplifier
from radio.impairments import NONE, Impairments
from radio.profiles import PROFILES, Profile
from radio.tone import phasor

RATE, LO, N = 1e6, 915e6, 4096
CLEAN = Profile("clean", "static", sample_snr_db=200.0, impairments=NONE)
CYCLES = 41
CODES = np.round(16384 * np.stack([f(2 * np.pi * CYCLES * np.arange(N) / N) for f in (np.cos, np.sin)], axis=1))
TONE = np.exp(2j * np.pi * CYCLES * np.arange(N) / N)


def sender(unit: int = 1, **changes: object) -> Sender:
    wave = Wave(CODES.astype(np.int16), True, 0.0)
    made = Sender(unit, LO, RATE, 18e6, 0.0, 0.0, 1.0, True, (wave,))
    return replace(made, **changes)  # type: ignore[arg-type]


def listener(unit: int = 0, **changes: object) -> Listener:
    return replace(Listener(unit, LO, RATE, 18e6, 0.0, 1.0), **changes)  # type: ignore[arg-type]


def hear(air: Air, who: Listener, *senders: Sender, seconds: float = 0.0, n: int = N) -> np.ndarray:
    return air.hear(who, {one.unit: one for one in senders}, seconds, n, 1)


def test_a_full_scale_tone_arrives_with_gain_path_and_phase() -> None:
    air = Air(CLEAN, 3, 4)
    heard = hear(air, listener(phase=0.125), sender(gain_db=-6.0, phase=0.25))
    path = air.paths(0, 0.0)[1, 0]
    assert abs(path) == pytest.approx(1.0)
    expected = 0.5 * 10 ** (-6 / 20) * path * np.exp(2j * np.pi * 0.125)
    assert (heard * TONE.conj()).mean() == pytest.approx(expected, rel=2e-3)


def test_signals_add_and_links_differ() -> None:
    air = Air(CLEAN, 3, 4)
    alone = [hear(air, listener(), sender(unit)) for unit in (1, 2)]
    assert np.allclose(hear(air, listener(), sender(1), sender(2)), alone[0] + alone[1], atol=1e-9)
    gains = [air.paths(receiver, 0.0)[sending, 0] for receiver in range(3) for sending in range(3)]
    assert len(np.unique(np.round(gains, 9))) == 9


def test_its_own_transmitter_leaks_into_a_receiver() -> None:
    air = Air(CLEAN, 2, 4)
    heard = hear(air, listener(0), sender(0))
    assert abs((heard * TONE.conj()).mean()) == pytest.approx(0.5 * 10 ** (COUPLING_DB / 20), rel=2e-3)


def test_an_oscillator_off_by_some_ppm_shifts_carrier_and_sampling_clock() -> None:
    air = Air(replace(CLEAN, impairments=Impairments(oscillator_ppm=20.0)), 2, 4)
    ours, theirs = (air.references[unit].offset_ppm * 1e-6 for unit in (1, 0))
    heard = hear(air, listener(), sender(), n=2 * N)
    period = 1.0 / (RATE * (1.0 + theirs))
    cycles = (LO * (ours - theirs) + CYCLES / N * RATE * (1.0 + ours)) * period  # of carrier and tone, a sample
    spin = heard * phasor(-cycles, 2 * N)
    assert np.abs(spin).mean() == pytest.approx(0.5, rel=2e-3)
    assert np.abs(spin - spin.mean()).max() < 2e-3
    assert abs(ours - theirs) > 1e-6


def test_the_carrier_is_continuous_from_capture_to_capture() -> None:
    air = Air(replace(CLEAN, impairments=Impairments(oscillator_ppm=20.0, drift_ppm_per_s=0.05)), 2, 4)
    who, on = listener(), sender()
    period = air.period(who, 0.0)
    whole = hear(air, who, on, n=3 * N)
    parts = [hear(air, who, on, seconds=k * N * period) for k in range(3)]
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-3


def test_the_correction_moves_a_carrier_by_its_ppm() -> None:
    air = Air(CLEAN, 2, 4)
    ppm = 5e-6
    heard = hear(air, listener(), sender(tuning=1.0 + ppm), n=N)
    cycles = LO * ppm / RATE + CYCLES / N * (1.0 + ppm)
    spin = heard * phasor(-cycles, N)
    assert np.abs(spin - spin.mean()).max() < 2e-3


def test_a_start_between_two_samples_is_a_delay() -> None:
    air = Air(CLEAN, 2, 4)
    late = sender(waves=(Wave(CODES.astype(np.int16), True, 100.25e-6),))
    heard = hear(air, listener(), late) / (0.5 * air.paths(0, 0.0)[1, 0])
    assert np.abs(heard[:101]).max() < 1e-6
    expected = np.exp(2j * np.pi * CYCLES * (np.arange(N) - 100.25) / N)
    assert np.abs(heard - expected)[101:].max() < 2e-3


def test_a_burst_is_heard_once_wherever_captures_end() -> None:
    air = Air(CLEAN, 2, 4)
    burst = sender(waves=(Wave(CODES[:1000].astype(np.int16), False, 500e-6),))
    who = listener()
    whole = hear(air, who, burst, n=2000)
    assert np.array_equal(np.flatnonzero(np.abs(whole) > 0.1), np.arange(500, 1500))
    parts = [hear(air, who, burst, seconds=k * 400e-6, n=400) for k in range(5)]
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-6


@pytest.mark.parametrize(
    ("offset_hz", "heard"), [(100e3, True), (-200e3, True), (450e3, True), (600e3, False), (30e6, False)]
)
def test_a_transmitter_is_heard_where_it_falls_into_the_band(offset_hz: float, heard: bool) -> None:
    air = Air(CLEAN, 2, 4)
    samples = hear(air, listener(), sender(lo_hz=LO + offset_hz))
    frequency = offset_hz / RATE + CYCLES / N
    level = abs((samples * phasor(-frequency, N)).mean())
    assert level == pytest.approx(0.5 if heard else 0.0, abs=2e-3)
    if not heard:
        assert np.abs(samples).max() < 0.01  # the lower half of the DAC's noise


def test_a_narrow_receive_filter_cuts_what_lies_outside() -> None:
    air = Air(CLEAN, 2, 4)
    fast = sender(rate_sps=4e6)  # the tone is at 40 kHz
    for bandwidth, level in ((200e3, 0.5), (60e3, 0.0)):
        assert np.abs(hear(air, listener(rate_sps=4e6, bandwidth_hz=bandwidth), fast)).mean() == pytest.approx(
            level, abs=2e-3
        )


@pytest.mark.parametrize("rate", [5e5, 2e6, 1.3e6])
def test_a_receiver_at_another_rate_hears_the_same_tone(rate: float) -> None:
    air = Air(CLEAN, 2, 4)
    samples = hear(air, listener(rate_sps=rate), sender(), n=8192)
    spin = samples * phasor(-CYCLES / N * RATE / rate, 8192)
    assert np.abs(spin - spin.mean()).max() < 3e-3
    assert abs(spin.mean()) == pytest.approx(0.5, rel=3e-3)


def test_tone_generators_are_heard() -> None:
    air = Air(CLEAN, 2, 4)
    tone = Tone(0.5, 10e3, 90.0)
    tones = Tones((tone, Tone(), tone._replace(phase_deg=0.0), Tone()), 0.0)
    samples = hear(air, listener(), sender(waves=(), tones=tones))
    assert abs((samples * phasor(-10e3 / RATE, N)).mean()) == pytest.approx(0.5, rel=2e-3)


def test_noise_is_the_profiles_and_drawn_by_the_block() -> None:
    air = Air(replace(CLEAN, sample_snr_db=20.0), 2, 4)
    first, again, other = (air.hear(listener(), {}, 0.0, 1 << 16, block) for block in (1, 1, 2))
    assert np.mean(np.abs(first) ** 2) == pytest.approx(0.01, rel=0.03)
    assert np.array_equal(first, again)
    assert abs(np.vdot(first, other)) / (1 << 16) < 1e-4


def test_phase_noise_has_its_rms_and_corner() -> None:
    settings = Impairments(phase_noise_deg=2.0, phase_noise_hz=2e4)
    air = Air(replace(CLEAN, impairments=settings), 2, 4)
    samples = hear(air, listener(), sender(), n=1 << 17)
    theta = np.angle(samples * np.tile(TONE.conj(), (1 << 17) // N) / air.paths(0, 0.0)[1, 0])
    assert np.degrees(theta.std()) == pytest.approx(2.0, rel=0.1)
    lag = 10  # samples: exp(-2 pi 2e4 lag / rate) of the variance is left
    assert np.mean(theta[lag:] * theta[:-lag]) / theta.var() == pytest.approx(np.exp(-2 * np.pi * 0.02 * lag), abs=0.05)


def test_echoes_are_the_sum_of_delayed_copies() -> None:
    profile = replace(CLEAN, tap_delays_s=(0.0, 3e-6), tap_powers_db=(0.0, -3.0))
    air = Air(profile, 2, 4)
    one, two = air.paths(0, 0.0)[1]
    expected = 0.5 * (one + two * np.exp(-2j * np.pi * CYCLES * 3 / N))
    assert (hear(air, listener(), sender()) * TONE.conj()).mean() == pytest.approx(expected, rel=3e-3)


def test_block_fading_holds_for_a_block_and_a_static_channel_for_ever() -> None:
    rayleigh = Air(replace(CLEAN, fading="rayleigh"), 3, 4)
    first = rayleigh.paths(0, 0.1)
    assert np.array_equal(first, rayleigh.paths(0, 0.9 * BLOCK_S))
    assert not np.allclose(first, rayleigh.paths(0, 1.1 * BLOCK_S))
    static = Air(CLEAN, 3, 4)
    assert np.array_equal(static.paths(0, 0.0), static.paths(0, 1e5))


def test_a_moving_channel_moves_a_little_at_a_time() -> None:
    air = Air(PROFILES["pluto-room"], 3, 4)
    first = air.paths(0, 10.0).sum(axis=1)
    soon, late = (np.abs(air.paths(0, 10.0 + t).sum(axis=1) - first).max() for t in (0.02, 3.0))
    assert 0.0 < soon < 0.1 < late


def test_a_carrier_leaks_while_nothing_is_sent() -> None:
    leaky = replace(CLEAN, impairments=Impairments(lo_leakage_dbfs=-50.0))
    air = Air(leaky, 2, 4)
    idle = sender(waves=())
    assert abs(hear(air, listener(), idle).mean()) == pytest.approx(10 ** (-50 / 20), rel=1e-3)
    assert abs(hear(air, listener(), replace(idle, on=False)).mean()) < 1e-9
    assert abs(hear(air, listener(), replace(idle, gain_db=-89.75)).mean()) < 1e-6


def test_an_amplifier_compresses_what_its_attenuator_lets_through() -> None:
    air = Air(replace(CLEAN, impairments=Impairments(compression_dbfs=-10.0, lo_leakage_dbfs=-60.0)), 2, 4)
    path, one = air.paths(0, 0.0)[1, 0], sender()
    codes = 16384 / 32768
    loud, soft = (
        abs((hear(air, listener(), replace(one, gain_db=gain_db)) * TONE.conj()).mean() / path) for gain_db in (0, -30)
    )
    saturation = Amplifier(-10.0).saturation
    assert loud == pytest.approx(codes / (1 + (codes / saturation) ** 4) ** 0.25, rel=3e-3)
    assert soft == pytest.approx(codes * 10**-1.5, rel=3e-3)
    generators = Tones((Tone(0.5, 1e4), Tone(), Tone(0.5, 1e4, 90.0), Tone()), 0.0)
    made = hear(air, listener(), replace(one, waves=(), tones=generators))
    assert np.abs(made / path).max() < 1.01 * saturation


def test_every_unit_has_impairments_of_its_own() -> None:
    """Attenuator steps, imbalance and leaks of each transmitter, imbalance and offset of each receiver."""
    vices = Impairments(
        gain_step_db=0.25,
        gain_error_db=0.3,
        iq_gain_db=0.5,
        iq_phase_deg=2.0,
        lo_leakage_dbfs=-40.0,
        dc_offset_dbfs=-30.0,
    )
    air = Air(replace(CLEAN, impairments=vices), 4, 4)
    levels, images, leaks = [], [], []
    for unit in range(1, 4):
        path = air.paths(0, 0.0)[unit, 0]
        spectrum = np.fft.fft(hear(air, listener(), sender(unit, gain_db=-6.0))) / N / path
        levels.append(20 * np.log10(abs(spectrum[CYCLES]) / 0.5) + 6.0)
        images.append(abs(spectrum[-CYCLES]) / abs(spectrum[CYCLES]))
        leaks.append(abs(spectrum[0]) * 10 ** (6.0 / 20) / 10 ** (levels[-1] / 20))
    assert len(np.unique(np.round(levels, 3))) == 3 and 0.02 < np.std(levels) < 1.0
    assert len(np.unique(np.round(images, 5))) == 3 and min(images) > 1e-3
    assert np.allclose(leaks, 0.01, rtol=0.15)
    receivers = air.receive_mixers
    assert len({mixer.nu for mixer in receivers}) == 4
    assert all(abs(mixer.leak) == pytest.approx(10 ** (-30 / 20)) for mixer in receivers)
