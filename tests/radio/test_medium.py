from __future__ import annotations

import numpy as np
import pytest

from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading
from radio.medium import Interferer, Medium

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
