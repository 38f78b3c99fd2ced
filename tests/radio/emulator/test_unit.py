"""One unit without a network: attributes, errors, what is sent and captured."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from radio.emulator.air import Air
from radio.emulator.buffers import CaptureBuffer, TransmitBuffer
from radio.emulator.clock import Clock
from radio.emulator.protocol import Place
from radio.emulator.unit import RECEIVE, TRANSMIT, VirtualPluto
from radio.profiles import profile

PHY, CORE = "ad9361-phy", "cf-ad9361-dds-core-lpc"
N = 1024
BLOCK = 1 << 15
LATEST = 50  # blocks: 50 ms at the boot's 30.72 MS/s, by when a transmission has started


@pytest.fixture
def units() -> list[VirtualPluto]:
    air, clock = Air(profile("pluto-bench").shared_clock(), 2, 3), Clock()
    return [VirtualPluto(index, air, clock) for index in range(2)]


def place(text: str) -> Place:
    """`device [debug | input CHANNEL | output CHANNEL] attribute`."""
    words = text.split()
    device, attribute = words[0], words[-1]
    kind = words[1] if len(words) > 2 else "device"
    return Place(device, kind, words[2] if len(words) > 3 else "", attribute)


def read(unit: VirtualPluto, where: str) -> str:
    return unit.attributes(place(where))[0].read()


def write(unit: VirtualPluto, where: str, text: str) -> None:
    unit.attributes(place(where))[0].store(text)


def code(unit: VirtualPluto, where: str, text: str) -> int:
    """errno of a write that is refused."""
    with pytest.raises(OSError) as refused:
        write(unit, where, text)
    assert refused.value.errno is not None
    return refused.value.errno


def captures(unit: VirtualPluto, count: int, n: int = BLOCK) -> list[np.ndarray]:
    buffer = unit.capture_buffer or unit.open(RECEIVE, n, 3, False)
    assert isinstance(buffer, CaptureBuffer)
    return [buffer.next_block().samples(False, 0.0) for _ in range(count)]


def send(unit: VirtualPluto, codes: np.ndarray, cyclic: bool = True) -> TransmitBuffer:
    buffer = unit.open(TRANSMIT, len(codes), 3, cyclic)
    assert isinstance(buffer, TransmitBuffer)
    buffer.write(codes.astype("<i2").tobytes())
    return buffer


def ramp() -> np.ndarray:
    return np.stack([np.arange(N) * 16, -np.arange(N) * 16 - 1], axis=1)


@pytest.mark.parametrize(
    ("where", "text", "back"),
    [
        (f"{PHY} output altvoltage0 frequency", "915000000", None),
        (f"{PHY} output RX_LO frequency", "325000000", None),
        (f"{PHY} output voltage0 hardwaregain", "-10.3", "-10.250000 dB"),
        (f"{PHY} output voltage0 hardwaregain", "-89.75", "-89.750000 dB"),
        (f"{PHY} input voltage0 rf_bandwidth", "200000", "200000"),
        (f"{PHY} input voltage0 gain_control_mode", "manual", "manual"),
        (f"{PHY} input voltage0 sampling_frequency", "2083333", "2083333"),
        (f"{PHY} debug loopback", "1", "1"),
        (f"{PHY} ensm_mode", "alert", "alert"),
        (f"{PHY} xo_correction", "40000159", "40000159"),
        (f"{CORE} output voltage1 calibscale", "-0.3", "-0.299988"),
        (f"{CORE} output TX1_I_F1 scale", "0.25", "0.250000"),
    ],
)
def test_attributes_are_stored_in_the_units_steps(
    units: list[VirtualPluto], where: str, text: str, back: str | None
) -> None:
    write(units[0], where, text)
    if back is None:  # a synthesiser: within a step
        assert abs(int(read(units[0], where)) - int(text)) <= 5
    else:
        assert read(units[0], where) == back


@pytest.mark.parametrize(
    ("where", "text", "refused"),
    [
        (f"{PHY} output altvoltage0 frequency", "324999999", errno.EINVAL),
        (f"{PHY} output altvoltage1 frequency", "3800000001", errno.EINVAL),
        (f"{PHY} output voltage0 hardwaregain", "0.25", errno.EINVAL),
        (f"{PHY} output voltage0 hardwaregain", "-90", errno.EINVAL),
        (f"{PHY} output voltage0 hardwaregain", "loud", errno.EINVAL),
        (f"{PHY} input voltage0 rf_bandwidth", "199999", errno.EINVAL),
        (f"{PHY} input voltage0 gain_control_mode", "automatic", errno.EINVAL),
        (f"{PHY} input voltage0 sampling_frequency", "1000000", errno.EINVAL),  # needs the FIR filter
        (f"{PHY} input voltage0 sampling_frequency", "61440001", errno.EINVAL),
        (f"{PHY} input voltage0 rssi", "1", errno.EACCES),
        (f"{PHY} input out voltage_filter_fir_en", "1", errno.EINVAL),  # no filter is loaded
        (f"{PHY} filter_fir_config", "RX 3 GAIN -6 DEC 4\nTX 3 GAIN 0 INT 4\n1,1\n", errno.EINVAL),
        (f"{PHY} debug loopback", "3", errno.EINVAL),
        (f"{PHY} xo_correction", "40008001", errno.EINVAL),
        (f"{CORE} output voltage0 calibscale", "2", errno.EINVAL),
        (f"{CORE} output altvoltage0 phase", "360001", errno.EINVAL),
        (f"{CORE} output voltage0 sampling_frequency", "1000", errno.EINVAL),
        (f"{PHY} no_such_attribute", "1", errno.ENOENT),
        (f"{PHY} input voltage7 hardwaregain", "1", errno.ENOENT),
        ("no_such_device mark", "1", errno.ENODEV),
    ],
)
def test_what_the_driver_refuses(units: list[VirtualPluto], where: str, text: str, refused: int) -> None:
    assert code(units[0], where, text) == refused


@pytest.mark.parametrize(("lo_hz", "low", "high"), [(915e6, -1, 73), (2.4e9, -3, 71)])
def test_the_receive_gains_range_is_the_bands(units: list[VirtualPluto], lo_hz: float, low: int, high: int) -> None:
    unit, gain = units[0], f"{PHY} input voltage0 hardwaregain"
    write(unit, f"{PHY} output altvoltage0 frequency", str(int(lo_hz)))
    assert read(unit, f"{gain}_available") == f"[{low} 1 {high}]"
    before = read(unit, gain)
    write(unit, gain, "20")  # in the boot's slow_attack: neither refused nor done
    assert read(unit, gain) == before
    write(unit, f"{PHY} input voltage0 gain_control_mode", "manual")
    write(unit, gain, str(high))
    assert read(unit, gain) == f"{high}.000000 dB"
    assert code(unit, gain, str(high + 1)) == code(unit, gain, str(low - 1)) == errno.EINVAL


def test_shared_files_are_one_value(units: list[VirtualPluto]) -> None:
    write(units[0], f"{PHY} output voltage0 sampling_frequency", "4000000")
    assert read(units[0], f"{PHY} input voltage0 sampling_frequency") == "4000000"
    for channel in ("altvoltage0", "altvoltage3"):
        assert read(units[0], f"{CORE} output {channel} raw") == "1"
    write(units[0], f"{CORE} output altvoltage2 raw", "0")
    assert read(units[0], f"{CORE} output altvoltage0 raw") == "0"
    assert read(units[1], f"{PHY} input voltage0 sampling_frequency") == "30720000"  # another unit


def test_low_rates_need_the_filter_and_the_core_divides_by_eight(units: list[VirtualPluto]) -> None:
    unit, rate = units[0], f"{PHY} input voltage0 sampling_frequency"
    taps = "\n".join(["1,1"] * 128)
    write(unit, f"{PHY} filter_fir_config", f"RX 3 GAIN -6 DEC 4\nTX 3 GAIN 0 INT 4\n{taps}\n")
    assert read(unit, f"{PHY} filter_fir_config") == "FIR Rx: 128,4 Tx: 128,4"
    write(unit, rate, "3000000")
    write(unit, f"{PHY} input out voltage_filter_fir_en", "1")
    write(unit, rate, "1000000")
    assert code(unit, f"{PHY} input out voltage_filter_fir_en", "0") == errno.EINVAL
    write(unit, "cf-ad9361-lpc input voltage0 sampling_frequency", "125000")
    assert read(unit, "cf-ad9361-lpc input voltage1 sampling_frequency") == "125000"
    assert unit.divider.rate_sps == 125000


def test_digital_loopback_is_exact_and_goes_through_the_iq_stage(units: list[VirtualPluto]) -> None:
    unit = units[0]
    write(unit, f"{PHY} debug loopback", "1")
    send(unit, ramp())
    seen = np.concatenate(captures(unit, LATEST)[-2:])
    start = int(np.flatnonzero(seen[:, 0] == 0)[0])
    assert np.array_equal(seen[start : start + N], ramp() >> 4)
    write(unit, f"{CORE} output voltage0 calibscale", "0.5")
    write(unit, f"{CORE} output voltage1 calibscale", "0.5")
    seen = np.concatenate(captures(unit, 8)[-2:])  # the stream goes on where it was
    assert np.array_equal(seen[start : start + N], (ramp() >> 1) >> 4)


def test_a_change_is_seen_behind_the_queue(units: list[VirtualPluto]) -> None:
    unit = units[0]
    unit.set_depth(RECEIVE, 3)
    for mark in (7, 8, 9):
        write(unit, "emulator mark", str(mark))
        seen = [int(block[0, 0]) for block in captures(unit, 5)]
        assert seen[3:] == [mark, mark]
        assert mark not in seen[:3] or mark == 7  # opened with the first mark set
    numbers = [int(block[0, 1]) for block in captures(unit, 5)]
    assert np.array_equal(np.diff(numbers), np.ones(4))


def test_buffers_are_busy_until_closed(units: list[VirtualPluto]) -> None:
    unit = units[0]
    held = send(unit, ramp())
    for attempt in (lambda: unit.open(TRANSMIT, N, 3, True), lambda: unit.set_depth(TRANSMIT, 2)):
        with pytest.raises(OSError) as busy:
            attempt()
        assert busy.value.errno == errno.EBUSY
    assert unit.air.senders[0].waves
    unit.close(held)
    assert not unit.air.senders[0].waves
    unit.close(send(unit, ramp()))
    for device, cyclic in (("xadc", False), (RECEIVE, True)):
        with pytest.raises(OSError) as invalid:
            unit.open(device, N, 3, cyclic)
        assert invalid.value.errno == errno.EINVAL


def test_a_restart_is_late_by_another_time_and_a_retune_at_another_phase(units: list[VirtualPluto]) -> None:
    unit = units[0]
    lags = []
    for _ in range(8):
        buffer = send(unit, ramp())
        lags.append(unit.air.senders[0].waves[0].start_s - unit.clock.now)
        unit.close(buffer)
    assert len(set(lags)) == 8 and min(lags) >= 0.0 and max(lags) <= 0.05
    phases = set()
    for _ in range(4):
        write(unit, f"{PHY} output altvoltage1 frequency", "915000000")
        phases.add(unit.air.senders[0].phase)
    assert len(phases) == 4


def test_a_stream_is_gapless_and_ends(units: list[VirtualPluto]) -> None:
    unit = units[0]
    write(unit, f"{PHY} debug loopback", "1")
    buffer = unit.open(TRANSMIT, N, 3, False)
    assert isinstance(buffer, TransmitBuffer)
    captures(unit, 4)
    for k in range(3):
        buffer.write((ramp() + np.array([256 * k, 0])).astype("<i2").tobytes())
    seen = np.concatenate(captures(unit, LATEST))
    heard = np.flatnonzero(seen[:, 1])
    assert np.array_equal(heard, np.arange(heard[0], heard[0] + 3 * N))
    expected = np.concatenate([(ramp() + np.array([256 * k, 0])).astype(np.int16) >> 4 for k in range(3)])
    assert np.array_equal(seen[heard], expected)


def test_a_full_transmit_queue_lets_time_pass(units: list[VirtualPluto]) -> None:
    unit = units[0]
    buffer = unit.open(TRANSMIT, N, 3, False)
    assert isinstance(buffer, TransmitBuffer)
    for _ in range(50):
        buffer.write(ramp().astype("<i2").tobytes())
    sent_s = 45 * N / unit.core.divider.rate_sps
    assert unit.clock.now >= sent_s
    assert len(unit.air.senders[0].waves) <= 5


def test_powering_down_and_sleeping_silence_a_unit(units: list[VirtualPluto]) -> None:
    unit = units[0]
    send(unit, ramp())
    assert unit.air.senders[0].on
    for where, off, on in (
        (f"{PHY} output altvoltage1 powerdown", "1", "0"),
        (f"{PHY} ensm_mode", "sleep", "fdd"),
        (f"{PHY} debug loopback", "1", "0"),
    ):
        write(unit, where, off)
        assert not unit.air.senders[0].on
        write(unit, where, on)
        assert unit.air.senders[0].on
    write(unit, f"{PHY} output altvoltage0 powerdown", "1")
    assert not captures(unit, 5)[-1].any()


def test_the_agc_keeps_a_strong_and_a_weak_signal_at_its_target(units: list[VirtualPluto]) -> None:
    transmitter, receiver = units
    for unit in units:
        for lo in ("altvoltage0", "altvoltage1"):
            write(unit, f"{PHY} output {lo} frequency", "915000000")
    tone = 16384 * np.exp(2j * np.pi * 41 * np.arange(N) / N)
    send(transmitter, np.stack([tone.real, tone.imag], axis=1).round())
    gains = []
    for attenuation in ("0", "-10"):  # the signal stays 14 dB above the noise
        write(transmitter, f"{PHY} output voltage0 hardwaregain", attenuation)
        block = captures(receiver, LATEST)[-1]
        power = np.mean((block.astype(float) ** 2).sum(axis=1)) / 2048**2
        assert 10 * np.log10(power) == pytest.approx(-12.0, abs=1.0)
        gains.append(float(read(receiver, f"{PHY} input voltage0 hardwaregain").split()[0]))
    assert gains[1] - gains[0] == pytest.approx(10.0, abs=1.5)


def test_booting_restores_everything(units: list[VirtualPluto]) -> None:
    unit = units[0]
    fresh = unit.description
    settings = str(unit.transceiver.settings)
    send(unit, ramp())
    write(unit, f"{PHY} output altvoltage0 frequency", "915000000")
    write(unit, f"{PHY} xo_correction", "40000100")
    write(unit, "emulator mark", "3")
    unit.boot()
    assert str(unit.transceiver.settings) == settings and unit.description == fresh
    assert unit.mark == -1 and not unit.air.senders[0].waves
    assert read(unit, f"{PHY} xo_correction") == "40000000"


def test_the_same_commands_find_the_same_air() -> None:
    def run() -> np.ndarray:
        air, clock = Air(profile("pluto-room"), 2, 9), Clock()
        one, two = (VirtualPluto(index, air, clock) for index in range(2))
        for unit in (one, two):
            for lo in ("altvoltage0", "altvoltage1"):
                write(unit, f"{PHY} output {lo} frequency", "915000000")
        send(one, ramp())
        return np.concatenate(captures(two, 60, BLOCK)[-8:])

    assert np.array_equal(run(), run())


def test_time_passes_while_nobody_reads_and_an_open_receiver_loses_samples(units: list[VirtualPluto]) -> None:
    unit = units[0]
    captures(unit, 1)
    before = unit.clock.now
    assert not unit.status.overflow
    write(unit, "emulator wait_s", "2.500000")
    assert unit.clock.now - before == pytest.approx(2.5, abs=1e-6)
    assert unit.status.overflow
    unit.status.overflow = False
    captures(unit, 6)  # those that waited in the queue, and fresh ones
    assert not unit.status.overflow and unit.clock.now >= before + 2.5 + 5 * BLOCK / 30.72e6
    assert code(unit, "emulator wait_s", "-1") == errno.EINVAL and code(unit, "emulator wait_s", "1e9") == errno.EINVAL
