"""Attributes of IIO devices: text to read and to write, with the driver's errors.

A driver keeps one file for an attribute that several channels share (`in_voltage_sampling_frequency`). Here it is one
`Attribute` object in the lists of all those channels, so they alias as they do there.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from radio.emulator.protocol import Place


def refuse(code: int) -> OSError:
    """What the driver answers, to be raised; `code` from `errno`."""
    return OSError(code, os.strerror(code))


@dataclass(frozen=True)
class Attribute:
    """One file of the driver: `read` gives its text, `write` takes one or raises OSError; None: it is read only."""

    name: str
    file: str
    read: Callable[[], str]
    write: Callable[[str], None] | None = None

    def store(self, text: str) -> None:
        if self.write is None:
            raise refuse(errno.EACCES)
        self.write(text)


@dataclass(frozen=True)
class Channel:
    """One channel; `scan_index` and `scan_format` where it has samples."""

    identifier: str
    output: bool
    attributes: Sequence[Attribute]
    name: str = ""
    scan_index: int | None = None
    scan_format: str = ""


@dataclass(frozen=True)
class Device:
    """One IIO device."""

    identifier: str
    name: str
    channels: Sequence[Channel] = ()
    attributes: Sequence[Attribute] = ()
    debug: Sequence[Attribute] = ()
    buffer: Sequence[Attribute] = field(default=())

    def listed(self, place: Place) -> Sequence[Attribute]:
        """The list of attributes that `place` names; ENOENT where there is no such channel."""
        if place.kind == "debug":
            return self.debug
        if place.kind == "buffer":
            return self.buffer
        if place.kind == "device":
            return self.attributes
        for channel in self.channels:
            if channel.output == (place.kind == "output") and place.channel in (channel.identifier, channel.name):
                return channel.attributes
        raise refuse(errno.ENOENT)


def find(devices: Sequence[Device], name: str) -> Device:
    """The device of that identifier or name; ENODEV if there is none."""
    for device in devices:
        if name in (device.identifier, device.name):
            return device
    raise refuse(errno.ENODEV)


def constant(name: str, file: str, text: str) -> Attribute:
    return Attribute(name, file, lambda: text)


def whole(text: str, low: int, high: int) -> int:
    """An integer within [low, high]; EINVAL otherwise. As the kernel does, what follows the number is not looked at."""
    found = re.match(r"\s*([+-]?\d+)", text)
    if found is None or not low <= int(found[1]) <= high:
        raise refuse(errno.EINVAL)
    return int(found[1])


def decimal(text: str, low: float, high: float) -> float:
    """A decimal fraction within [low, high]; EINVAL otherwise. A unit may follow ("-10.0 dB"), an exponent may not."""
    found = re.fullmatch(r"\s*([+-]?\d+(?:\.\d*)?)(?:\s*dB)?\s*", text)
    if found is None or not low <= float(found[1]) <= high:
        raise refuse(errno.EINVAL)
    return float(found[1])


def word(text: str, allowed: Sequence[str]) -> str:
    """One of `allowed`; EINVAL otherwise."""
    if text.strip() not in allowed:
        raise refuse(errno.EINVAL)
    return text.strip()
