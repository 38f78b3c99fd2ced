"""How a person ends what takes long: in order at first, then at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from radio.errors import StoppedEarly


class Terminated(StoppedEarly):
    """By SIGTERM, which is meant for all that this process does."""


class Stop:
    """Ctrl-C and SIGTERM: the first ends the run in order after the round, the second at once."""

    def __init__(self) -> None:
        self.asked = False
        self.terminated = False

    def __bool__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked, self.terminated = True, number == signal.SIGTERM
        if multiprocessing.parent_process() is None:  # a worker leaves it to its parent; os.write is safe in a handler
            os.write(2, b"\nfinishing the round; once more to stop at once (its charge stays spent)\n")

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def obey(self) -> None:
        """Raises Terminated or KeyboardInterrupt if it was asked for either."""
        if self.terminated:
            raise Terminated("stopped by SIGTERM")
        if self.asked:
            raise KeyboardInterrupt
