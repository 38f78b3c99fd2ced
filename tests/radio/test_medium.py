from __future__ import annotations

import numpy as np
import pytest

from radio.converter import Converter
from radio.delay import EDGE
from radio.errors import InputError
from radio.fading import Fading
from radio.impairments import Impairments
from radio.medium import Interferer, Medium
from radio.tone import phasor

IDEAL = Converter(None)


def medium(devices: int = 2, **settings: float) -> Medium:
    settings = {"noise_variance": 0.0, **settings}
    return Medium(Fading(devices, seed=5, kind="static"), seed=5, dac=IDEAL, adc=IDEAL, **settings)


def test_sum_of_two_devices_is_the_gains_times_waves() -> None:
    air = medium()
    a, b = 0.3 * np.exp(0.1j * np.arange(50)), 0.2 * np.exp(0.37j * np.arange(20))
    air.transmit(0, a, cyclic=False)
    air.transmit(1, b, cyclic=True)
    expected = air.gains[0] * np.concatenate([a, np.zeros(30)]) + air.gains[1] * np.tile(b, 4)
    heard = np.concatenate([air.capture(33, 0.0), air.capture(47, 0.0)])
    assert np.allclose(heard, expected, atol=1e-12)


def test_transmit_and_receive_gain_are_amplitudes_in_db() -> None:
    air = medium(1)
    air.transmit(0, np.full(8, 0.5 + 0j), cyclic=True, gain_db=-20.0)
    assert np.allclose(air.capture(8, 6.0), air.gains[0] * 0.05 * 10 ** (6 / 20))


def test_cyclic_waveform_is_delayed_by_the_real_valued_start_offset() -> None:
    air = medium(1, timing_samples=9.0)
    lag, n, period = float(air.lags[0]), np.arange(200), 64
    assert 0.05 < lag % 1 < 0.95
    wave = 0.4 * np.exp(2j * np.pi * 9 * np.arange(period) / period) + 0.3 * np.exp(
        -2j * np.pi * 4 * np.arange(period) / period
    )
    air.transmit(0, wave, cyclic=True)
    heard = air.capture(200, 0.0) / air.gains[0]
    delayed = 0.4 * np.exp(2j * np.pi * 9 * (n - lag) / period) + 0.3 * np.exp(-2j * np.pi * 4 * (n - lag) / period)
    assert np.allclose(heard[int(lag)], 0) or lag < 1
    assert np.allclose(heard[10:], delayed[10:], atol=1e-10)
    assert np.allclose(heard[: int(lag)], 0.0)


def test_burst_is_delayed_as_a_band_limited_signal() -> None:
    air = medium(1, timing_samples=9.0)
    lag, n = float(air.lags[0]), np.arange(400)
    burst = np.exp(-(((np.arange(300) - 150) / 25.0) ** 2)) * np.exp(2j * np.pi * 0.05 * np.arange(300))
    air.transmit(0, burst, cyclic=False)
    expected = np.exp(-(((n - lag - 150) / 25.0) ** 2)) * np.exp(2j * np.pi * 0.05 * (n - lag))
    assert np.allclose(air.capture(400, 0.0) / air.gains[0], expected, atol=1e-9)


def test_carrier_offset_turns_with_the_clock_of_the_round() -> None:
    air = medium(1, offset_hz=700.0)
    air.capture(123, 0.0)
    air.transmit(0, np.ones(64, dtype=np.complex128), cyclic=True)
    expected = air.gains[0] * np.exp(2j * np.pi * air.offsets_hz[0] * (123 + np.arange(64)) / 1e6)
    assert abs(air.offsets_hz[0]) > 1.0
    assert np.allclose(air.capture(64, 0.0), expected, atol=1e-12)


def test_noise_power_and_statistics_of_offsets() -> None:
    air = medium(1, noise_variance=0.02)
    noise = air.capture(40000, 0.0)
    assert noise.real.var() == pytest.approx(0.01, rel=0.03)
    assert noise.imag.var() == pytest.approx(0.01, rel=0.03)
    many = medium(4000, offset_hz=12.0, timing_samples=6.0)
    assert many.offsets_hz.std() == pytest.approx(12.0, rel=0.05)
    assert many.lags.mean() == pytest.approx(3.0, rel=0.05) and many.lags.max() <= 6.0 and many.lags.min() >= 0.0


def test_draws_depend_on_seed_round_and_phase_only() -> None:
    one = medium(2, noise_variance=0.1, offset_hz=5.0, timing_samples=3.0)
    two = medium(2, noise_variance=0.1, offset_hz=5.0, timing_samples=3.0)
    heard = {}
    for t in (0, 1, 2):
        for phase in ("sound", "air"):
            one.begin(t, phase)
            heard[t, phase] = (one.capture(16, 0.0), one.offsets_hz, one.lags, one.gains)
    for t in (2, 0, 1):
        for phase in ("sound", "air", "air"):
            two.begin(t, phase)
            assert all(
                np.array_equal(a, b)
                for a, b in zip(
                    heard[t, phase], (two.capture(16, 0.0), two.offsets_hz, two.lags, two.gains), strict=True
                )
            )
    assert not np.array_equal(heard[0, "sound"][0], heard[0, "air"][0])
    assert not np.array_equal(heard[0, "air"][0], heard[1, "air"][0])


def test_a_repeated_slot_happens_at_the_same_instant() -> None:
    air = medium()
    air.begin(3, "sound")
    air.capture(500, 0.0)
    air.begin(3, "air")
    assert air.clock == 500
    air.capture(70, 0.0)
    air.begin(3, "air")
    assert air.clock == 500


def test_mute_converters_and_interferer() -> None:
    air = Medium(Fading(1, seed=1, kind="static"), 1, noise_variance=0.0)
    air.transmit(0, np.full(16, 1.5 + 0j), cyclic=True)
    assert air.dac_clipped[0] == 16 and air.on_air == (0,)
    air.capture(16, 20.0)
    assert air.adc_clipped == 16
    air.mute(0)
    assert air.on_air == () and not air.capture(16, 0.0).any()
    air.interferers.append(Interferer(0.5, 1e4))
    heard = air.capture(100, 0.0)
    assert np.allclose(np.abs(heard), 0.5, atol=1e-3)
    assert np.allclose(np.diff(np.unwrap(np.angle(heard))), 2 * np.pi * 0.01, atol=5e-3)


@pytest.mark.parametrize("name", ["noise_variance", "offset_hz", "timing_samples", "jitter_samples"])
def test_bad_settings_are_named(name: str) -> None:
    with pytest.raises(InputError, match=name):
        medium(**{name: -1.0})


def impaired(devices: int = 1, kind: str = "static", noise_variance: float = 0.0, **settings: object) -> Medium:
    fading = Fading(devices, seed=5, kind=kind)
    return Medium(fading, 5, noise_variance=noise_variance, dac=IDEAL, adc=IDEAL, impairments=Impairments(**settings))


def test_oscillator_plays_faster_and_turns_by_the_same_ppm() -> None:
    """A tone at f sent with a clock off by e arrives at f (1 + e) + e f_LO."""
    air, f, n = impaired(oscillator_ppm=20.0), 0.11, 20_000
    ppm = air.offsets_hz[0] / 915.0
    wave = np.exp(2j * np.pi * f * np.arange(100))
    air.transmit(0, wave, cyclic=True)
    heard = air.capture(n, 0.0)
    turned = np.unwrap(np.angle(heard))
    found = np.polyfit(np.arange(n), turned, 1)[0] / (2 * np.pi)
    expected = f * (1 + ppm * 1e-6) + air.offsets_hz[0] / 1e6
    assert abs(ppm) > 1.0 and found == pytest.approx(expected, abs=1e-9)
    assert np.allclose(np.abs(heard), 1.0, atol=5e-3)


def test_sampling_offset_moves_a_late_sample_by_ppm_times_its_time() -> None:
    air = impaired(oscillator_ppm=20.0)
    air._oscillators.offsets_hz[:] = 0.0
    air._oscillators._phases = air._oscillators._drift
    ratio = 1 + air._oscillators.ppm[0] * 1e-6
    period = np.exp(2j * np.pi * 37 * np.arange(128) / 128)
    air.transmit(0, period, cyclic=True)
    air.capture(100_000, 0.0)
    late = air.capture(64, 0.0) / air.gains[0]
    assert np.allclose(late, np.exp(2j * np.pi * 37 * ratio * np.arange(100_000, 100_064) / 128), atol=5e-3)


def test_start_jitter_is_uniform_and_new_at_every_start() -> None:
    air, starts = impaired(start_jitter_s=1e-3), []
    for _ in range(400):
        begin = air.clock
        air.transmit(0, np.ones(8, dtype=np.complex128), cyclic=False)
        starts.append(air._emissions[0].start + EDGE - begin)
        air.capture(1, 0.0)
    assert min(starts) >= 0 and max(starts) <= 1000
    assert np.mean(starts) == pytest.approx(500, abs=60) and np.std(starts) == pytest.approx(1000 / 12**0.5, rel=0.1)


def test_weights_change_a_running_tone_and_leave_its_phase() -> None:
    air = impaired(start_jitter_s=1e-4)
    wave = np.exp(2j * np.pi * 5 * np.arange(64) / 64)
    air.transmit(0, wave, cyclic=True)
    air.capture(200, 0.0)
    whole = air.capture(64, 0.0)
    air.weigh(0, 0.5j)
    assert np.allclose(air.capture(64, 0.0), 0.5j * whole, atol=1e-9)
    air.weigh(0, 0.0)
    assert not air.capture(64, 0.0).any() and air.on_air == (0,)
    air.begin(0, "air")  # the same round: still on
    air.weigh(0, 1.0)
    assert np.allclose(air.capture(64, 0.0), whole * np.exp(2j * np.pi * 5 * 64 / 64), atol=1e-9)
    air.begin(1, "sound")
    assert air.on_air == ()


def test_leakage_mixers_and_gain_steps_are_where_they_belong() -> None:
    air = impaired(lo_leakage_dbfs=-40.0, dc_offset_dbfs=-30.0)
    silence = air.capture(16, 0.0)
    assert np.allclose(np.abs(silence), 10 ** (-30 / 20))
    air.transmit(0, np.zeros(16, dtype=np.complex128), cyclic=True)
    assert np.allclose(np.abs(air.capture(16, 0.0) - silence), 0.01)
    stepped = impaired(gain_step_db=0.25)
    stepped.transmit(0, np.ones(4, dtype=np.complex128), cyclic=True, gain_db=-6.1)
    assert np.allclose(np.abs(stepped.capture(4, 0.0)), 10 ** (-6.0 / 20))


def test_paths_are_a_convolution_and_a_tone_sees_their_response() -> None:
    fading = Fading(2, seed=3, tap_delays_s=(0.0, 2e-6, 4.5e-6), tap_powers_db=(0.0, -2.0, -5.0))
    air = Medium(fading, 3, noise_variance=0.0, dac=IDEAL, adc=IDEAL)
    tone = 0.5 * np.exp(2j * np.pi * 9 * np.arange(64) / 64)
    air.transmit(1, tone, cyclic=True)
    air.capture(64, 0.0)
    expected = fading.paths(0)[1] @ np.exp(-2j * np.pi * 9 / 64 * np.array([0.0, 2.0, 4.5]))
    assert np.allclose(air.capture(64, 0.0), expected * tone, atol=1e-9)


def test_gains_move_within_a_round_as_the_fading_says() -> None:
    fading = Fading(1, seed=3, doppler_hz=200.0, round_s=0.1)
    air = Medium(fading, 3, noise_variance=0.0, dac=IDEAL, adc=IDEAL)
    air.transmit(0, np.ones(64, dtype=np.complex128), cyclic=True)
    air.capture(3000, 0.0)
    heard = air.capture(5000, -20.0) * 10.0  # well below the ADC's full scale
    truth = fading.track(0, (3000 + np.arange(5000)) / 1e6)[0]
    assert np.abs(truth - truth[0]).max() > 0.3
    assert np.allclose(heard, truth, atol=2e-3)


def test_impaired_rounds_are_functions_of_seed_and_round() -> None:
    everything = {
        "oscillator_ppm": 20.0, "drift_ppm_per_s": 0.1, "phase_noise_deg": 1.0, "linewidth_hz": 1.0,
        "start_jitter_s": 1e-4, "gain_step_db": 0.25, "gain_error_db": 0.1, "iq_gain_db": 0.2, "iq_phase_deg": 1.0,
        "lo_leakage_dbfs": -50.0, "dc_offset_dbfs": -40.0, "compression_dbfs": -3.0, "agc": True, "burst_rate_hz": 1000.0,
    }  # fmt: skip

    def play(air: Medium, t: int) -> np.ndarray:
        parts = []
        for phase in ("sound", "air", "air"):
            air.begin(t, phase)
            for k in range(2):
                air.transmit(k, np.exp(0.3j * np.arange(100)), cyclic=True, gain_db=-3.3)
            parts.append(air.capture(700, 0.0))
        assert np.array_equal(parts[1], parts[2])
        return np.concatenate(parts)

    one, two = (impaired(2, "rayleigh", 1e-3, **everything) for _ in range(2))
    forward = [play(one, t) for t in range(3)]
    for t in (2, 0, 1):
        assert np.array_equal(play(two, t), forward[t])


def rapp(level: float, compression_dbfs: float) -> float:
    """Output of Rapp's amplifier with p = 2, from its two definitions: 1 dB down at an output of the compression point."""
    saturation = 10 ** ((compression_dbfs + 1) / 20) / (10**0.2 - 1) ** 0.25
    return level / (1 + (level / saturation) ** 4) ** 0.25


@pytest.mark.parametrize("gain_db", [0.0, -6.0])
def test_an_amplifier_behind_the_attenuator_compresses(gain_db: float) -> None:
    air = impaired(compression_dbfs=-4.0)
    tone = np.exp(2j * np.pi * 9 * np.arange(64) / 64)
    for amplitude in (0.01, 0.5, 1.0):
        air.transmit(0, amplitude * tone, cyclic=True, gain_db=gain_db)
        heard = (air.capture(64, 0.0) * tone.conj()).mean() / air.gains[0]
        assert abs(heard) == pytest.approx(rapp(amplitude * 10 ** (gain_db / 20), -4.0), rel=1e-9)
        air.weigh(0, 0.5)  # goes through the amplifier again
        heard = (air.capture(64, 0.0) * tone.conj()).mean() / air.gains[0]
        assert abs(heard) == pytest.approx(rapp(0.5 * amplitude * 10 ** (gain_db / 20), -4.0), rel=1e-9)


def test_a_drifting_oscillator_takes_its_sampling_clock_along() -> None:
    """One oscillator: a tone g above a carrier L is off by (L + g) / L of what the carrier is, after minutes as well."""
    settings = Impairments(oscillator_ppm=5.0, drift_ppm_per_s=0.05)
    air = Medium(
        Fading(1, 2, "static"), 2, noise_variance=0.0, adc=Converter(None), dac=Converter(None), impairments=settings
    )
    n, tone = 1 << 15, 3277 / 16384
    air.transmit(0, phasor(tone, 16384), True)
    for seconds in (0.0, 100.0, 200.0):
        air.wait(seconds)
        middle = (air.clock + n / 2) / 1e6
        turned = air.capture(n, 0.0) * phasor(-tone, n)
        carrier = air.offsets_hz[0] + air.drifts_hz_per_s[0] * middle
        halves = turned.reshape(2, -1) * phasor(-carrier * (915e6 + tone * 1e6) / 915e6 / 1e6, n).reshape(2, -1)
        left = np.angle(halves[1].mean() / halves[0].mean()) / (np.pi * n / 1e6)
        assert abs(left) < 2e-3  # against 0.2 to 2.4 Hz that the sampling clock makes of the tone
