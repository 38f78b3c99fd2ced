"""Which unit an address or a serial number stands for. What a scan finds is handed in: no USB is needed."""

from __future__ import annotations

import numpy as np
import pytest

from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.pluto.driver import ConnectionLost, PlutoError
from radio.pluto.scan import find, find_serial, probe, scan
from radio.pluto.transceiver import open_radio

pytestmark = pytest.mark.libiio

NOBODY = "ip:127.0.0.1:9"


def description(serial: str) -> str:
    """As libiio describes a Pluto on USB."""
    return f"0456:b673 (Analog Devices Inc. PlutoSDR (ADALM-PLUTO)), serial={serial}"


def sightings(plutos: Plutos) -> dict[str, str]:
    return {uri: description(unit.serial) for uri, unit in zip(plutos.uris, plutos.units, strict=True)}


def opened(uri: str, serial: str = "", **settings: object) -> tuple[str, str]:
    unit = find_serial(uri, serial, **settings)  # type: ignore[arg-type]
    try:
        return unit.uri, unit.serial
    finally:
        unit.close()


def test_a_serial_number_is_an_address(plutos: Plutos) -> None:
    for uri, serial in (("virtual-01", ""), ("", "virtual-01"), ("virtual-01", "virtual-01")):
        assert opened(uri, serial, scan=lambda: sightings(plutos)) == (plutos.uris[1], "virtual-01")
    with pytest.raises(PlutoError, match="give one of the two"):
        find_serial("virtual-01", "virtual-02")


def test_where_a_description_tells_no_serial_number_the_units_are_asked(plutos: Plutos) -> None:
    assert opened("virtual-02", scan=lambda: dict.fromkeys(plutos.uris, "PlutoSDR")) == (plutos.uris[2], "virtual-02")


def test_a_unit_that_moved_is_found_by_its_serial_number(plutos: Plutos) -> None:
    """It does not answer at its old address, or another one does."""
    for old in (NOBODY, plutos.uris[0]):
        assert opened(old, "virtual-01", scan=lambda: sightings(plutos)) == (plutos.uris[1], "virtual-01")


def test_no_other_unit_is_taken_for_one_that_does_not_answer(plutos: Plutos) -> None:
    with pytest.raises(ConnectionLost, match="nobody listens there"):
        find_serial(NOBODY, "", scan=lambda: sightings(plutos))
    with pytest.raises(PlutoError, match=r"no unit with serial virtual-09 was found.*pairzero radio find"):
        find_serial("virtual-09", "", scan=lambda: sightings(plutos))


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ((), r"no Pluto was found on USB; check cable .* udev rule .* ip:192\.168\.2\.1"),
        (("usb:1.2.5", "usb:1.3.5"), r"there are 2: usb:1\.2\.5, usb:1\.3\.5; name one of them, or a serial"),
        (("usb:99.99.5",), r"usb:99\.99\.5: open: "),  # the only one is opened
    ],
)
def test_usb_alone_is_the_only_one_there(there: tuple[str, ...], message: str) -> None:
    with pytest.raises(PlutoError, match=message) as caught:
        find_serial("usb:", "", scan=lambda: {uri: description("1") for uri in there} | {"ip:pluto.local": "PlutoSDR"})
    assert "\n" not in str(caught.value)


def test_without_a_unit_the_scan_is_empty_and_usb_says_so() -> None:
    """The real one: no bus with a Pluto here, and no name service."""
    if any(uri.startswith("usb:") for uri in scan()):
        assert find()  # a machine with a Pluto: it is listed, with its serial number or its fault
        return
    with pytest.raises(PlutoError, match="no Pluto was found on USB"):
        probe("usb:")


def test_a_unit_that_comes_back_elsewhere_goes_on_as_it_was(plutos: Plutos) -> None:
    """As after a USB re-enumeration: same serial number, new address, booted."""
    with (
        serve(1, clock="shared", seed=5, host="127.0.0.1", port=0) as later,
        open_radio(plutos.uris[0], scan=lambda: sightings(later)) as radio,
    ):
        radio.rate_sps, radio.lo_hz, radio.receive_gain_db = 1e6, 915e6, 20.0
        radio.receive(64)
        plutos.units[0].faults.arm(parse_fault("power@capture=2,seconds=30", 0))
        assert np.isnan(radio.receive(64)).all()
        assert radio.uri == later.uris[0] and radio.serial == "virtual-00"
        assert np.isfinite(radio.receive(64)).all()
        settings = later.units[0].transceiver.settings
        assert (settings.rate_sps, settings.rx_lo_hz, settings.rx_gain_db) == (10**6, 915e6, 20)
        assert settings.gain_mode == "manual"
