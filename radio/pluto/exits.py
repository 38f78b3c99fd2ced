"""Silence on every way out: radios that are still open when the program ends are closed first.

Exceptions and Ctrl-C unwind into `close`, or else into the interpreter's exit. A terminating signal would end the process
at once, and the unit would go on sending until its network connection is found dead; so where a program has no handler of
its own, SIGTERM and SIGHUP become an orderly exit with 128 + the signal's number.
"""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from typing import Any, Protocol


class Closable(Protocol):
    def close(self) -> None: ...


_open: dict[int, Closable] = {}
_installed = False


def register(radio: Closable) -> None:
    """Close `radio` when the program ends, unless `forget` comes first."""
    global _installed
    _open[id(radio)] = radio
    if not _installed:
        _installed = True
        atexit.register(close_all)
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave)


def forget(radio: Closable) -> None:
    _open.pop(id(radio), None)


def close_all() -> None:
    """Close every open radio, even if one of them fails to obey."""
    for radio in list(_open.values()):
        try:
            radio.close()
        except Exception as error:  # the others must have their turn, and there is nobody left to catch it
            print(f"pairzero: {error}", file=sys.stderr)
        _open.pop(id(radio), None)


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)
