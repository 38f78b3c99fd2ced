"""Where a lab's process can die between two things that matter: every write, sync, send and arm, each by name.

`die` and `witness` are called in the process that is going to be killed (`bench.forks`), before its command begins.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

_write = os.write  # the one that nobody dies at

Role = Literal["server", "device"]
When = Literal["before", "after", "half"]


@dataclass(frozen=True)
class Seam:
    """The `call`-th call of a function, or the `call`-th whose arguments hold `what`.

    where  module:name or module:class.name
    when   dead before it does anything; when it has done everything; or, of a write, when half of it is written
    what   the kind of a message or record, or a word
    """

    role: Role
    where: str
    when: When
    what: str = ""
    call: int = 1

    def __str__(self) -> str:
        what = f" {self.what}" if self.what else ""
        return f"{self.role}: {self.when} {self.where}{what}"


def _both(role: Role, where: str, what: str = "", call: int = 1) -> list[Seam]:
    return [Seam(role, where, "before", what, call), Seam(role, where, "after", what, call)]


_JOURNAL, _SEND, _SAY = "fl.journal:Journal", "fl.lab.transport:Hub._send", "fl.lab.link:DeviceLink.send"
_WRITE = "os:write"

# In the order in which a run passes them.  After the first of two devices has been sent something, the other has not.
SERVER = [
    Seam("server", "fl.journal:Journal.__init__", "after"),
    *_both("server", f"{_JOURNAL}.model"),
    *_both("server", _SEND, "Welcome"),
    *_both("server", "fl.lab.server:write_json"),
    *_both("server", _SEND, "Suffix"),
    *_both("server", f"{_JOURNAL}.evaluation"),
    *_both("server", f"{_JOURNAL}.resume"),
    *_both("server", _SEND, "Open", 3),
    *_both("server", _SEND, "Propose", 3),
    *_both("server", _SEND, "Transmit", 3),
    Seam("server", "fl.lab.air_service:LabAir.receive", "before", call=2),
    Seam("server", f"{_JOURNAL}.burn", "before"),
    Seam("server", "fl.lab.air_service:LabAir.receive", "after", call=2),
    Seam("server", f"{_JOURNAL}.burn", "after"),
    Seam("server", f"{_JOURNAL}.commit", "before", call=2),
    Seam("server", _WRITE, "half", '"type":"round"', 2),
    Seam("server", "privacy.record_log:_sync", "before", call=4),  # opened, resumed, a round, and this
    Seam("server", f"{_JOURNAL}.commit", "after", call=2),
    *_both("server", _SEND, "Commit", 3),
    Seam("server", "fl.lab.transport:Hub.close_slot", "after", call=2),
    *_both("server", _SEND, "Stop"),
    Seam("server", "fl.lab.transport:Hub.end", "after"),
    *_both("server", "fl.run:write_json"),
    *_both("server", f"{_JOURNAL}.stop"),
    *_both("server", "fl.reporting.page:write_report"),
]
DEVICE = [
    *_both("device", _SAY, "Hello"),
    *_both("device", "privacy.ledger:Ledger.__init__"),
    *_both("device", "fl.lab.device:DeviceProcess._build"),
    *_both("device", _SAY, "Ready"),
    *_both("device", "fl.lab.device:DeviceProcess._apply", call=2),
    *_both("device", "fl.lab.device:DeviceProcess._measure", call=2),
    *_both("device", _SAY, "Opened", 2),
    Seam("device", "privacy.ledger:Ledger.charge", "before", call=2),
    Seam("device", _WRITE, "half", '"kind":"charge"', 2),
    Seam("device", "privacy.record_log:_sync", "before", call=3),  # opened, a charge, and this
    Seam("device", "privacy.ledger:Ledger.charge", "after", call=2),
    Seam("device", "fl.device:Device.payload", "after", call=2),
    *_both("device", _SAY, "Armed", 2),
    *_both("device", "fl.lab.air_service:AirLink.transmit", call=2),
    *_both("device", _SAY, "Sent", 2),
    *_both("device", _SAY, "Digest"),
    Seam("device", "fl.lab.device:DeviceProcess._finish", "before"),
]  # fmt: skip
SEAMS = (*SERVER, *DEVICE)


# Where a server has to have died for the next to have a slot to burn: all are charged, and nothing is closed.
MID_SLOT = Seam("server", "fl.lab.air_service:LabAir.receive", "before", call=2)


def die(where: str, when: When, what: str = "", call: int = 1, file: str = "") -> None:
    """Kill this process there, and note down where in `file`."""
    calls = 0

    def end() -> None:
        _append(file, {"died": [where, when]})
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += not what or any(_holds(argument, what) for argument in args)
            due = calls == call and (not what or any(_holds(argument, what) for argument in args))
            if due and when == "half":
                function(*args[:-1], args[-1][: len(args[-1]) // 2])
            if due and when != "after":
                end()
            result = function(*args, **options)
            if due:
                end()
            return result

        return dying

    _replace(where, wrap)


def pace(file: str, devices: int, seconds: float) -> None:
    """While the file exists, hold every round until all devices are back, `seconds` at most: or those that are killed would
    see little of a run of quick rounds."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def paced(transport: Any, *args: Any) -> Any:
            hub, end = transport._hub, time.monotonic() + seconds
            while os.path.exists(file) and len(hub.state.present) < devices and time.monotonic() < end:
                hub.turn()
            return function(transport, *args)

        return paced

    _replace("fl.lab.transport:LabTransport.open", wrap)


def witness(role: Role, file: str) -> None:
    """Note down, in a way that a kill does not undo, what this process has been told is in the log and what it transmits."""
    if role == "server":

        def closed(hub: Any, slot: int, *_: Any) -> dict[str, Any]:
            return {"closed": slot}

        _note(file, "fl.lab.transport:Hub.close_slot", closed)
        return

    def seen(process: Any, entries: Any) -> dict[str, Any]:
        return {"seen": {entry.position: fingerprint(entry) for entry in entries}}

    def sent(link: Any, slot: int, *_: Any) -> dict[str, Any]:
        return {"sent": slot}

    _note(file, "fl.lab.device:DeviceProcess._apply", seen)
    _note(file, "fl.lab.air_service:AirLink.transmit", sent)


def witnessed(file: Path) -> list[dict[str, Any]]:
    """What was noted; the line that a kill tore is not."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def fingerprint(entry: Any) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(entry)).hexdigest()


def _note(file: str, where: str, fact: Callable[..., dict[str, Any]]) -> None:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any, **options: Any) -> Any:
            _append(file, fact(*args))
            return function(*args, **options)

        return noting

    _replace(where, wrap)


def _append(file: str, fact: dict[str, Any]) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _write(handle, (json.dumps(fact) + "\n").encode())
    os.close(handle)


def _replace(where: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    setattr(owner, name, wrap(getattr(owner, name)))


def _holds(argument: Any, what: str) -> bool:
    if isinstance(argument, bytes) and argument.startswith(b"PZ1"):
        return bool(msgspec.msgpack.decode(argument[3:])["type"] == what)
    if isinstance(argument, bytes):
        return what.encode() in argument
    return argument == what or type(argument).__name__ == what
