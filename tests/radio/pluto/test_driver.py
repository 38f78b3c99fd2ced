"""Errors of the driver in plain words, and the wrong libraries refused."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import time

import pytest

from radio.emulator.server import Plutos
from radio.pluto import driver
from radio.pluto.driver import ConnectionLost, DriverError, PlutoError
from radio.pluto.unit import Range, Unit, number


@pytest.mark.libiio
def test_libiio_1_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import iio

    monkeypatch.setattr(iio, "version", (1, 0, "v1.0"))
    with pytest.raises(DriverError, match=r"libiio 1\.0 is installed; allowed: 0\.2x.*cyclic"):
        driver.load()


@pytest.mark.parametrize(
    "failure", ["ImportError('none')", "OSError('no libiio.so')", "AttributeError('undefined symbol')"]
)
def test_missing_libraries_are_one_line_and_the_rest_works_without(failure: str) -> None:
    code = f"""
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "iio":
            raise {failure}
sys.meta_path.insert(0, Broken())
import radio.station, radio.pluto.transceiver, radio.modes, fl.radio_command
from radio.pluto.driver import DriverError, load
try:
    load()
except DriverError as error:
    assert "apt install libiio0" in str(error) and "\\n" not in str(error), error
else:
    raise SystemExit("loaded")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.libiio
def test_nobody_listens() -> None:
    with pytest.raises(ConnectionLost, match=r"ip:127\.0\.0\.1:9: open: nobody listens there"):
        Unit("ip:127.0.0.1:9")


@pytest.mark.libiio
@pytest.mark.parametrize("uri", ["ip:no.such.host.invalid", "nonsense:1", "usb:99.99.99"])
def test_addresses_that_do_not_exist(uri: str) -> None:
    with pytest.raises(PlutoError, match=f"{uri}: open: ") as caught:
        Unit(uri)
    assert "\n" not in str(caught.value)


@pytest.mark.libiio
def test_a_port_that_is_mute_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begin = time.monotonic()
        with pytest.raises(ConnectionLost, match="no answer"):
            Unit(f"ip:127.0.0.1:{listener.getsockname()[1]}")
        assert time.monotonic() - begin < 30.0


@pytest.mark.libiio
def test_a_refused_value_says_what_is_allowed(plutos: Plutos) -> None:
    unit = Unit(plutos.uris[0])
    with pytest.raises(PlutoError, match=r"transmit_gain is 50; this unit allows -89\.75 to 0 in steps of 0\.25"):
        unit.check("transmit_gain", 50.0)
    with pytest.raises(PlutoError, match="the unit refused the value"):
        unit.set("transmit_gain", "50.0")
    unit.close()
    with pytest.raises(PlutoError, match="closed"):
        unit.get("rate")


def test_what_is_a_defect_is_not_translated() -> None:
    with pytest.raises(ZeroDivisionError), driver.explained("ip:x", "think"):
        _ = 1 // 0


def test_errors_by_number() -> None:
    busy = driver.explain(OSError(errno.EBUSY, "busy"), "ip:x", "receive")
    assert not isinstance(busy, ConnectionLost) and "in use by another program" in str(busy)
    assert isinstance(driver.explain(OSError(errno.EPIPE, "gone"), "ip:x", "receive"), ConnectionLost)


def test_numbers_and_ranges_as_the_driver_writes_them() -> None:
    assert number("-10.000000 dB") == -10.0
    assert number("2400000000") == 2.4e9
    assert 3.0 in Range(-3.0, 1.0, 71.0) and 72.0 not in Range(-3.0, 1.0, 71.0)
    with pytest.raises(ValueError, match="where a number is expected"):
        number("manual")
