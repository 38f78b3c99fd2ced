"""The text protocol, byte by byte."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.emulator import protocol
from radio.emulator.protocol import Command, Place, ProtocolError, parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"PRINT\r\n", Command("PRINT")),
        (b"VERSION\r\n", Command("VERSION")),
        (b"TIMEOUT 2500\r\n", Command("TIMEOUT", number=2500)),
        (b"READ iio:device0 xo_correction\r\n", Command("READ", Place("iio:device0", "device", "", "xo_correction"))),
        (b"READ iio:device0 \r\n", Command("READ", Place("iio:device0"))),
        (
            b"READ iio:device0 INPUT voltage0 hardwaregain\r\n",
            Command("READ", Place("iio:device0", "input", "voltage0", "hardwaregain")),
        ),
        (
            b"WRITE iio:device0 OUTPUT altvoltage0 frequency 10\r\n",
            Command("WRITE", Place("iio:device0", "output", "altvoltage0", "frequency"), 10),
        ),
        (b"WRITE iio:device0 DEBUG loopback 2\r\n", Command("WRITE", Place("iio:device0", "debug", "", "loopback"), 2)),
        (b"READ iio:device3 BUFFER watermark\r\n", Command("READ", Place("iio:device3", "buffer", "", "watermark"))),
        (b"SET iio:device3 BUFFERS_COUNT 8\r\n", Command("SET", Place("iio:device3"), 8)),
        (b"OPEN iio:device3 1024 00000003\r\n", Command("OPEN", Place("iio:device3"), 1024, 3)),
        (b"OPEN iio:device2 1024 00000003 CYCLIC\r\n", Command("OPEN", Place("iio:device2"), 1024, 3, True)),
        (b"READBUF iio:device3 4096\r\n", Command("READBUF", Place("iio:device3"), 4096)),
        (b"WRITEBUF iio:device2 4096\r\n", Command("WRITEBUF", Place("iio:device2"), 4096)),
        (b"CLOSE iio:device3\r\n", Command("CLOSE", Place("iio:device3"))),
        (b"EXIT\r\n", Command("EXIT")),
        (b"\r\n", None),
    ],
)
def test_commands(line: bytes, command: Command | None) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"ZPRINT\r\n",
        b"BINARY\r\n",
        b"OPEN iio:device3 many 3\r\n",
        b"OPEN iio:device3 1024 xyz\r\n",
        b"OPEN iio:device3 1024 3 FOREVER\r\n",
        b"WRITE iio:device0 INPUT voltage0 hardwaregain -1\r\n",
        b"READ iio:device0 INPUT\r\n",
        b"READ iio:device0 one two\r\n",
        b"READBUF iio:device3 99999999999\r\n",
        b"\xff\xfe\r\n",
    ],
)
def test_what_is_not_a_command_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(line)


@given(st.binary(max_size=80))
def test_no_line_breaks_the_parser(line: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(line)


def test_replies() -> None:
    assert protocol.status(-22) == b"-22\n"
    assert protocol.value("915000000") == b"10\n915000000\0\n"
    assert protocol.document("<context/>") == b"10\n<context/>\n"
    assert protocol.samples(b"\1\2\3\4", 3) == b"4\n00000003\n\1\2\3\4"
    assert len(protocol.VERSION.split(b".", 2)[2].rstrip(b"\n")) >= 7


def test_all_values_of_a_list_are_padded_and_errors_stand_in_their_place() -> None:
    body = struct.pack(">i", 2) + b"7\0\0\0" + struct.pack(">i", -5) + struct.pack(">i", 4) + b"fdd\0"
    assert protocol.values(["7", 5, "fdd"]) == b"%d\n%b\n" % (len(body), body)
