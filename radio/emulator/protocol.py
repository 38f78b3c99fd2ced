"""The IIOD text protocol: commands parsed, replies rendered. Nothing here touches a socket or a device.

A client (libiio 0.x, or 1.x after it falls back) opens one control connection and one more for each buffer. Commands end in
CR LF; every reply begins with a decimal integer on a line of its own, negative for -errno. Source: iiod/parser.y, ops.c and
iiod-client.c of libiio 0.24.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

LONGEST_LINE = 1024
VERSION = b"0.25.v0.25  \n"  # the tag is padded: clients refuse one of fewer than seven characters
LARGEST_VALUE = 1 << 20  # of one attribute: a FIR filter takes 2 kB
LARGEST_TRANSFER = 1 << 28


class ProtocolError(Exception):
    """A command that cannot be understood; answered with -EINVAL."""


@dataclass(frozen=True)
class Place:
    """Where an attribute is: a device and, in it, one of its lists.

    Attributes:
        device: identifier or name, "iio:device0" or "ad9361-phy".
        kind: "device", "debug", "buffer", "input" or "output" (the two directions of channels).
        channel: identifier or name of the channel; "" except for channels.
        attribute: name; "" for all of them.
    """

    device: str
    kind: str = "device"
    channel: str = ""
    attribute: str = ""


@dataclass(frozen=True)
class Command:
    """One line, parsed. What a command does not have stays at its default.

    Attributes:
        word: the command.
        place: of READ and WRITE; others name the device alone.
        number: bytes of WRITE, READBUF and WRITEBUF; samples of OPEN; milliseconds of TIMEOUT; buffers of SET.
        mask: channels of OPEN, one bit each.
        cyclic: of OPEN.
    """

    word: str
    place: Place = Place("")
    number: int = 0
    mask: int = 0
    cyclic: bool = False


_KINDS = {"DEBUG": "debug", "BUFFER": "buffer", "INPUT": "input", "OUTPUT": "output"}


def parse(line: bytes) -> Command | None:
    """The command of one line, None for an empty one; ProtocolError if it is none of ours."""
    try:
        words = line.decode("ascii").split()
    except UnicodeDecodeError:
        raise ProtocolError("not ASCII") from None
    if not words:
        return None
    word, rest = words[0].upper(), words[1:]
    if word in ("HELP", "EXIT", "PRINT", "VERSION"):
        return Command(word)
    if word == "TIMEOUT" and len(rest) == 1:
        return Command(word, number=_number(rest[0]))
    if word == "READ" and rest:
        return Command(word, _place(rest))
    if word == "WRITE" and len(rest) >= 2:
        return Command(word, _place(rest[:-1]), _number(rest[-1], LARGEST_VALUE))
    if word == "OPEN" and len(rest) in (3, 4) and rest[3:] in ([], ["CYCLIC"]):
        return Command(word, Place(rest[0]), _number(rest[1]), _mask(rest[2]), len(rest) == 4)
    if word in ("READBUF", "WRITEBUF") and len(rest) == 2:
        return Command(word, Place(rest[0]), _number(rest[1], LARGEST_TRANSFER))
    if word == "SET" and len(rest) == 3 and rest[1] == "BUFFERS_COUNT":
        return Command(word, Place(rest[0]), _number(rest[2]))
    if word in ("CLOSE", "GETTRIG", "SETTRIG") and rest:
        return Command(word, Place(rest[0]))
    raise ProtocolError(f"{word} with {len(rest)} words after it")


def _place(words: list[str]) -> Place:
    device, rest = words[0], words[1:]
    kind = _KINDS.get(rest[0], "device") if rest else "device"
    if kind != "device":
        rest = rest[1:]
    channel = ""
    if kind in ("input", "output"):
        if not rest:
            raise ProtocolError("no channel")
        channel, rest = rest[0], rest[1:]
    if len(rest) > 1:
        raise ProtocolError("words after the attribute")
    return Place(device, kind, channel, rest[0] if rest else "")


def _number(text: str, largest: int = 1 << 31) -> int:
    if not text.isdigit() or len(text) > 10 or int(text) > largest:
        raise ProtocolError(f"{text} is not a number up to {largest}")
    return int(text)


def _mask(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise ProtocolError(f"{text} is not a mask") from None


def status(code: int) -> bytes:
    """A reply of one number."""
    return b"%d\n" % code


def value(text: str) -> bytes:
    """An attribute's value: its length with the closing NUL, itself, the NUL and a line's end."""
    raw = text.encode() + b"\0"
    return b"%d\n%b\n" % (len(raw), raw)


def values(texts: list[str | int]) -> bytes:
    """All attributes of a list: for each a big-endian length (or -errno) and the value, padded to four bytes."""
    parts = []
    for text in texts:
        if isinstance(text, int):
            parts.append(struct.pack(">i", -text))
            continue
        raw = text.encode() + b"\0"
        parts.append(struct.pack(">i", len(raw)) + raw + b"\0" * (-len(raw) % 4))
    raw = b"".join(parts)
    return b"%d\n%b\n" % (len(raw), raw)


def document(text: str) -> bytes:
    """The context's XML: its length without the line's end."""
    raw = text.encode()
    return b"%d\n%b\n" % (len(raw), raw)


def samples(data: bytes, mask: int) -> bytes:
    """What READBUF answers: one chunk with its length and, once, the mask of the channels in it."""
    return b"%d\n%08x\n%b" % (len(data), mask, data)


def refused(command: Command) -> int:
    """-errno of a command that is understood but not served."""
    return -errno.ENOENT if command.word in ("GETTRIG", "SETTRIG") else -errno.ENOSYS  # as without that file
