"""What goes wrong, on demand.

    stall      the next reply to come does not, for `seconds`
    drop       the connection is closed instead of an answer
    ebusy      opening a buffer is answered EBUSY
    eio        the command is answered EIO
    gap        an overflow: samples are missing in the middle of a block, `seconds` of them
    saturate   a block that somebody else's signal drives into the ADC's stops
    phase      the carriers' phases jump, as if tuned anew
    power      the supply fails: everybody is disconnected, and after `seconds` the unit is back as it boots

A fault strikes at the `after`-th event of its sort since it was armed, and at `count` of them in a row:

    1:stall@capture=5                 unit 1 does not answer its fifth READBUF
    0:eio@command=20,count=3          three errors in a row
    2:power@command=40,seconds=1.5

In a file (TOML) the same words are keys: `[[fault]]`, `unit = 1`, `kind = "stall"`, `capture = 5`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radio.errors import InputError

KINDS = ("stall", "drop", "ebusy", "eio", "gap", "saturate", "phase", "power")
EVENTS = ("command", "capture", "open")
_SECONDS = {"stall": 30.0, "gap": 0.01, "power": 0.5}


@dataclass
class Fault:
    """One fault of one unit; see the module."""

    unit: int
    kind: str
    event: str
    after: int
    count: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        text = f"{self.unit}:{self.kind}@{self.event}={self.after},count={self.count}"
        return f"{text},seconds={self.seconds:g}" if self.kind in _SECONDS else text


class Faults:
    """The faults of one unit that are still to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.waiting = list(faults)

    def arm(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def strike(self, event: str) -> list[Fault]:
        """Those that hit this event."""
        hit = []
        for fault in self.waiting:
            if fault.event == event:
                fault.after -= 1
                if fault.after <= 0:
                    fault.count -= 1
                    hit.append(fault)
        self.waiting = [fault for fault in self.waiting if fault.count > 0]
        return hit


def parse_fault(text: str, unit: int | None = None) -> Fault:
    """One fault as the module shows; without a unit in front if `unit` is given."""
    head, _, tail = text.strip().partition("@")
    number, _, kind = head.rpartition(":")
    values: dict[str, Any] = {"kind": kind, "unit": number if unit is None else str(unit)}
    for part in tail.split(","):
        key, _, value = part.partition("=")
        values[key.strip()] = value.strip()
    return _fault(values, text)


def read_faults(source: str, units: int) -> list[Fault]:
    """Faults from a TOML file, or from one or more specifications separated by semicolons; for units 0 to `units` - 1."""
    path = Path(source)
    if source.endswith(".toml") or path.is_file():
        faults = _from_file(path)
    else:
        faults = [parse_fault(part) for part in source.split(";") if part.strip()]
    for fault in faults:
        if not 0 <= fault.unit < units:
            raise InputError(f"fault {str(fault)!r} is for unit {fault.unit}; there are units 0 to {units - 1}")
    return faults


def _from_file(path: Path) -> list[Fault]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"faults {path}: {error.strerror}; a TOML file or UNIT:KIND@EVENT=N is needed") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"faults {path} is not TOML: {error}") from None
    listed = tables.get("fault", [])
    if set(tables) - {"fault"} or not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InputError(f"faults {path} has keys {', '.join(tables)}; allowed: tables [[fault]] only")
    return [_fault(one, f"{path}, fault {number}") for number, one in enumerate(listed, 1)]


def _fault(values: Mapping[str, Any], where: str) -> Fault:
    kind = str(values.get("kind", ""))
    if kind not in KINDS:
        raise InputError(f"fault {where!r}: kind is {kind!r}; allowed: {', '.join(KINDS)}")
    events = [event for event in EVENTS if event in values]
    unknown = set(values) - {"unit", "kind", "count", "seconds", *EVENTS}
    if unknown or len(events) != 1:
        raise InputError(
            f"fault {where!r}: it needs exactly one of {', '.join(EVENTS)} = N, and may have count and seconds"
            + (f"; unknown: {', '.join(sorted(unknown))}" if unknown else "")
        )
    if kind == "ebusy" and events != ["open"]:
        raise InputError(f"fault {where!r}: only opening a buffer is answered EBUSY; use open = N")
    if kind in ("gap", "saturate") and events != ["capture"]:
        raise InputError(f"fault {where!r}: it happens to a block of samples; use capture = N")
    try:
        fault = Fault(
            int(values.get("unit", "")),
            kind,
            events[0],
            int(values[events[0]]),
            int(values.get("count", 1)),
            float(values.get("seconds", _SECONDS.get(kind, 0.0))),
        )
    except (TypeError, ValueError):
        raise InputError(f"fault {where!r}: unit, {events[0]}, count and seconds must be numbers") from None
    if fault.after < 1 or fault.count < 1 or not 0.0 <= fault.seconds < 1e6:
        raise InputError(f"fault {where!r}: {events[0]} and count are at least 1, seconds at least 0")
    return fault
