"""The TDD engine's registers, through pyadi-iio's own class."""

from __future__ import annotations

import pytest

from radio.emulator.server import Plutos

pytestmark = pytest.mark.libiio


def test_pyadi_sets_frames_and_channels(plutos: Plutos) -> None:
    import adi
    import iio

    context = iio.Context(plutos.uris[0])  # libiio's devices die with it
    context.find_device("ad9361-phy").find_channel("voltage0", True).attrs["sampling_frequency"].value = "4000000"
    engine = adi.tddn(plutos.uris[0])
    state = context.find_device("iio-axi-tdd-0").attrs["state"]  # pyadi looks for numbers in it
    channels = engine.channel[-3:]  # pyadi keeps the channels of all engines in one list
    assert state.value == "idle"
    engine.frame_length_ms = 10.5
    assert float(engine.frame_length_raw) == 42_000
    engine.startup_delay_raw = 4000
    assert float(engine.startup_delay_ms) == 1.0
    engine.burst_count = 3
    assert int(engine.burst_count) == 3
    for index, channel in enumerate(channels):
        channel.on_ms, channel.off_ms, channel.polarity, channel.enable = 0.0, index + 0.5, 1, 1
        assert float(channel.off_raw) == (index + 0.5) * 4000 and channel.enable and channel.polarity
    engine.sync_external, engine.enable = 1, 1
    assert state.value == "armed"  # nothing is wired to the pin
    engine.sync_internal = 1
    assert state.value == "running"
    engine.enable = 0
    assert state.value == "idle"


def test_registers_have_their_range(plutos: Plutos) -> None:
    import iio

    context = iio.Context(plutos.uris[0])
    device = context.find_device("iio-axi-tdd-0")
    for name, value in (("frame_length_raw", str(1 << 32)), ("frame_length_ms", "-1.0"), ("sync_soft", "2")):
        with pytest.raises(OSError, match="Invalid argument"):
            device.attrs[name].value = value
    with pytest.raises(OSError, match="Permission denied"):
        device.attrs["state"].value = "running"
