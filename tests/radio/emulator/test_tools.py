"""libiio's own command-line tools, which know nothing of us."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from shutil import which

import numpy as np
import pytest

from radio.emulator.server import Plutos

pytestmark = pytest.mark.libiio  # libiio-utils comes with it

Tool = Callable[..., subprocess.CompletedProcess[bytes]]


def test_iio_info_reads_every_attribute_without_an_error(plutos: Plutos, tool: Tool) -> None:
    done = tool("iio_info", "-u", plutos.uris[1])
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "ERROR" not in text and text.count("No trigger on this device") == 6
    assert "hw_serial: virtual-01" in text
    for name in ("ad9361-phy", "xadc", "cf-ad9361-dds-core-lpc", "cf-ad9361-lpc", "emulator"):
        assert f": {name}" in text
    for device in plutos.units[1].devices:
        for channel in device.channels:
            for one in channel.attributes:
                assert f": {one.name} value:" in text


def test_iio_attr_reads_and_writes(plutos: Plutos, tool: Tool) -> None:
    uri = plutos.uris[0]
    assert tool("iio_attr", "-u", uri, "-o", "-c", "ad9361-phy", "voltage0", "hardwaregain", "-20").returncode == 0
    read = tool("iio_attr", "-u", uri, "-o", "-c", "ad9361-phy", "voltage0", "hardwaregain")
    assert read.stdout.strip() == b"-20.000000 dB"
    assert tool("iio_attr", "-u", uri, "-D", "ad9361-phy", "loopback", "1").returncode == 0
    assert plutos.units[0].transceiver.settings.loopback == 1
    assert tool("iio_attr", "-u", uri, "-C", "fw_version").stdout.strip().endswith(b"v0.39-virtual")
    assert b"mark" in tool("iio_attr", "-u", uri, "-d", "emulator").stdout


def test_iio_attr_sees_the_drivers_errors(plutos: Plutos, tool: Tool) -> None:
    done = tool("iio_attr", "-u", plutos.uris[0], "-o", "-c", "ad9361-phy", "voltage0", "hardwaregain", "5")
    assert done.returncode != 0
    assert b"Invalid argument (22)" in done.stdout + done.stderr
    assert plutos.units[0].transceiver.settings.tx_gain_db == -10.0


def test_iio_readdev_reads_samples(plutos: Plutos, tool: Tool) -> None:
    plutos.units[2].mark = 77
    both = tool("iio_readdev", "-u", plutos.uris[2], "-b", "1024", "-s", "4096", "cf-ad9361-lpc")
    assert both.returncode == 0
    samples = np.frombuffer(both.stdout, dtype="<i2").reshape(-1, 2)
    assert samples.shape == (4096, 2)
    assert np.all(samples[:, 0] == 77)
    assert np.array_equal(samples[:, 1], np.repeat([1, 2, 3, 4], 1024))
    one = tool("iio_readdev", "-u", plutos.uris[2], "-b", "1024", "-s", "2048", "cf-ad9361-lpc", "voltage0")
    assert np.array_equal(np.frombuffer(one.stdout, dtype="<i2"), np.full(2048, 77))


def test_iio_writedev_sends_samples(plutos: Plutos, tool: Tool) -> None:
    wave = (np.arange(2048, dtype="<i2") * 16).tobytes()
    path = which("iio_writedev")
    assert path is not None, "iio_writedev is not installed; apt-get install libiio-utils (hardware.md)"
    command = [path, "-u", plutos.uris[0], "-b", "1024", "-s", "1024", "cf-ad9361-dds-core-lpc", "voltage0", "voltage1"]
    done = subprocess.run(command, input=wave, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert plutos.units[0].starts == 1
