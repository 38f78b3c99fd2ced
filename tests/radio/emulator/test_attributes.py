"""Text in, text out, and the errors of a driver."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.emulator.attributes import Attribute, Channel, Device, constant, decimal, find, whole, word
from radio.emulator.protocol import Place


@given(st.integers(-(10**9), 10**9))
def test_an_integer_within_its_range_is_taken_and_outside_refused(number: int) -> None:
    assert whole(f"{number}\n", number, number) == number
    for low, high in ((number + 1, number + 2), (number - 2, number - 1)):
        with pytest.raises(OSError) as refused:
            whole(str(number), low, high)
        assert refused.value.errno == errno.EINVAL


@pytest.mark.parametrize("text", ["", "x", "dB", "nan"])
def test_what_is_no_number_is_refused(text: str) -> None:
    for read in (whole, decimal):
        with pytest.raises(OSError) as refused:
            read(text, -10, 10)
        assert refused.value.errno == errno.EINVAL


def test_decimals() -> None:
    assert decimal("-10.250000 dB", -89.75, 0.0) == -10.25
    assert decimal("3", 0, 5) == 3.0
    for text in ("0.25", "1e-05", "inf"):
        with pytest.raises(OSError):
            decimal(text, -89.75, 0.0)


def test_words() -> None:
    assert word("manual\n", ("manual", "slow_attack")) == "manual"
    with pytest.raises(OSError):
        word("automatic", ("manual",))


def test_an_attribute_without_write_is_read_only() -> None:
    with pytest.raises(OSError) as refused:
        constant("a", "a", "1").store("2")
    assert refused.value.errno == errno.EACCES


def test_places_are_found_by_identifier_and_by_name() -> None:
    shared = Attribute("rate", "in_rate", lambda: "7")
    device = Device("iio:device9", "adc", [Channel("voltage0", False, [shared], "I")], debug=[constant("d", "d", "1")])
    for name in ("iio:device9", "adc"):
        assert find([device], name) is device
    for channel in ("voltage0", "I"):
        assert list(device.listed(Place("adc", "input", channel))) == [shared]
    assert [one.name for one in device.listed(Place("adc", "debug"))] == ["d"]
    with pytest.raises(OSError) as absent:
        device.listed(Place("adc", "output", "voltage0"))
    assert absent.value.errno == errno.ENOENT
    with pytest.raises(OSError) as nowhere:
        find([device], "dac")
    assert nowhere.value.errno == errno.ENODEV
