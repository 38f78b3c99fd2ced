"""What pyadi-iio checks of every device (its test/attr_tests.py, dma_tests.py, test_pluto.py), done to virtual units.

Its wheel ships no tests, so the checks are written again here, with its ranges, tolerances and waveforms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radio.emulator.server import Plutos

pytestmark = pytest.mark.libiio

Connect = Callable[[str], Any]


@pytest.mark.parametrize(
    ("name", "start", "stop", "step", "tolerance"),
    [
        ("tx_hardwaregain_chan0", -89.75, 0.0, 0.25, 0),
        ("rx_lo", 325_000_000, 3_800_000_000, 1, 8),
        ("tx_lo", 325_000_000, 3_800_000_000, 1, 8),
        ("sample_rate", 2_084_000, 61_440_000, 1, 4),
        ("sample_rate", 521_000, 2_083_000, 1, 4),
        ("rx_rf_bandwidth", 200_000, 56_000_000, 1, 0),
        ("tx_rf_bandwidth", 200_000, 40_000_000, 1, 0),
        ("loopback", 0, 2, 1, 0),
    ],
)
def test_attribute_single_value(
    plutos: Plutos, connect: Connect, name: str, start: float, stop: float, step: float, tolerance: float
) -> None:
    sdr, draws = connect(plutos.uris[0]), np.random.default_rng(7)
    for index in (0, 1, *draws.integers(int((stop - start) / step), size=8)):
        value = stop if index == 1 else start + step * int(index)
        setattr(sdr, name, value)
        assert abs(getattr(sdr, name) - value) <= tolerance


def test_attribute_multiple_values(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    for _ in range(2):
        for mode in ("fast_attack", "manual", "slow_attack"):
            sdr.gain_control_mode_chan0 = mode
            assert sdr.gain_control_mode_chan0 == mode
    sdr.gain_control_mode_chan0 = "manual"
    for gain in (0, 20, 71):
        sdr.rx_hardwaregain_chan0 = gain
        assert sdr.rx_hardwaregain_chan0 == gain
    with pytest.raises(OSError, match="Invalid argument"):
        sdr.tx_hardwaregain_chan0 = 1
    with pytest.raises(OSError, match="Invalid argument"):
        sdr.rx_lo = 100_000_000


def test_the_fpga_filters(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    for name in ("rx_dec8_filter_en", "tx_int8_filter_en"):
        for value in (True, False):
            setattr(sdr, name, value)
            assert getattr(sdr, name) == value


@pytest.mark.parametrize("size", [2**4, 1000, 2**15])
def test_dma_rx(plutos: Plutos, connect: Connect, size: int) -> None:
    sdr = connect(plutos.uris[0])
    sdr.rx_buffer_size = size
    for _ in range(10):
        data = sdr.rx()
        assert data.size == size
        assert np.sum(np.abs(data)) > 0


def test_dma_tx(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    wave = np.cos(2 * np.pi * np.arange(2**15) / 100) * 2**14
    for _ in range(10):
        sdr.tx(wave)


def test_dma_dac_zeros(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    sdr.loopback = 1
    sdr.tx_cyclic_buffer = True
    sdr.tx_enabled_channels = None
    sdr.dds_single_tone(1_000_000, 0.5)
    sdr.rx_buffer_size = 2**12
    sdr.tx()
    for _ in range(10):
        data = sdr.rx()
    assert not data.any()


def test_dma_loopback(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    sdr.sample_rate = 1_000_000
    sdr.loopback = 1
    sdr.tx_cyclic_buffer = True
    ramp = np.arange(2**11, dtype=np.int16) << 4
    sdr.rx_buffer_size = 2 * ramp.size
    sdr.tx(ramp + 1j * (ramp * -1 - 1))
    for _ in range(100):
        data = sdr.rx()
    sdr.loopback = 0
    start = int(np.flatnonzero(data.real == 0)[0])
    period = data[start : start + 2**11]
    assert np.array_equal(period.real, np.arange(2**11))
    assert np.array_equal(period.imag, -np.arange(2**11) - 1)


def peak_hz(data: np.ndarray, rate: float) -> float:
    spectrum = np.abs(np.fft.fft(data * np.hanning(data.size)))
    return float(np.fft.fftfreq(data.size, 1.0 / rate)[np.argmax(spectrum)])


@pytest.mark.parametrize("frequency", [125_000, -200_000])
def test_dds_loopback(plutos: Plutos, connect: Connect, frequency: int) -> None:
    sdr = connect(plutos.uris[0])
    sdr.sample_rate = 4_000_000
    sdr.loopback = 1
    sdr.rx_buffer_size = 2**14
    sdr.dds_single_tone(frequency, 0.5)
    for _ in range(6):
        data = sdr.rx()
    assert abs(peak_hz(data, 4e6) - frequency) < 0.01 * abs(frequency)
    assert np.abs(data).max() == pytest.approx(1024, abs=2)  # 0.5 of the 12 bits, exact to the rounding


def test_dac_to_adc_through_the_air(plutos: Plutos, connect: Connect) -> None:
    sdr = connect(plutos.uris[0])
    sdr.sample_rate = 4_000_000
    sdr.tx_lo = sdr.rx_lo = 1_000_000_000
    sdr.tx_cyclic_buffer = True
    sdr.tx_hardwaregain_chan0 = -10
    sdr.rx_buffer_size = 2**17
    angle = 2 * np.pi * np.arange(2**15) * 3276 / 2**15
    sdr.tx((np.cos(angle) + 1j * np.sin(angle)) * 2**14)
    for _ in range(7):
        data = sdr.rx()
    assert abs(peak_hz(data, 4e6) - 4e6 * 3276 / 2**15) < 0.01 * 4e5


def test_cyclic_buffers(plutos: Plutos, connect: Connect) -> None:
    sdr, wave = connect(plutos.uris[0]), np.full(1024, 2**14 + 0j)
    sdr.tx_cyclic_buffer = True
    sdr.tx(wave)
    with pytest.raises(Exception, match="cyclic mode"):
        sdr.tx(wave)
    sdr.tx_destroy_buffer()
    sdr.tx(wave)


def test_several_clients_share_a_unit_but_not_a_buffer(plutos: Plutos, connect: Connect) -> None:
    one, two = connect(plutos.uris[0]), connect(plutos.uris[0])
    one.rx()
    with pytest.raises(OSError) as busy:
        two.rx()
    assert busy.value.errno == 16
    two.tx_hardwaregain_chan0 = -30
    assert one.tx_hardwaregain_chan0 == -30
    one.rx_destroy_buffer()
    two.rx()


@pytest.mark.parametrize("depth", [1, 4, 8])
def test_numbered_blocks_are_stale_for_the_depth_of_the_queue(plutos: Plutos, connect: Connect, depth: int) -> None:
    sdr = connect(plutos.uris[0])
    sdr._rxadc.set_kernel_buffers_count(depth)
    sdr.rx_buffer_size = 64
    mark = sdr.ctx.find_device("emulator").attrs["mark"]
    mark.value = "0"
    sdr.rx()
    for number in range(1, 50):
        mark.value = str(number)
        seen = [int(sdr.rx()[0].real) for _ in range(depth + 1)]
        assert seen == [number - 1] * depth + [number]


def test_a_running_cyclic_waveform_is_scaled_without_a_restart(plutos: Plutos, connect: Connect) -> None:
    sender, receiver = connect(plutos.uris[0]), connect(plutos.uris[1])
    size = 4096
    for sdr in (sender, receiver):
        sdr.sample_rate = 1_000_000
        sdr.tx_lo = sdr.rx_lo = 915_000_000
        sdr.tx_hardwaregain_chan0 = 0
        sdr.gain_control_mode_chan0 = "manual"
        sdr.rx_hardwaregain_chan0 = 25
    receiver.rx_buffer_size = size
    tone = np.exp(2j * np.pi * 63 * np.arange(size) / size)
    sender.tx_cyclic_buffer = True
    sender.tx(tone * 2**14)
    rails = [sender._txdac.find_channel(f"voltage{k}", True) for k in range(2)]

    def measured(weight: complex) -> complex:
        for rail, phase in zip(rails, (-weight.imag, weight.imag), strict=True):
            rail.attrs["calibscale"].value = f"{weight.real:.6f}"
            rail.attrs["calibphase"].value = f"{phase:.6f}"
        blocks = [receiver.rx() for _ in range(5)]
        return complex((blocks[-1] * tone.conj()).mean())

    for _ in range(20):  # it is late by up to 50 ms
        receiver.rx()
    whole = measured(1.0)
    assert abs(whole) > 300.0
    for weight in (0.5, -0.5, 0.25j, 0.3 - 0.4j, 1.0):
        assert measured(weight) / whole == pytest.approx(weight, abs=4e-3)
    assert plutos.units[0].starts == 1
