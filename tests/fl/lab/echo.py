"""Real sockets for the tests of the link: a server that answers in its own thread, and patience with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fl.lab.keys import ServerKeys
from fl.lab.link import DeviceLink, ServerLink


def port_of(endpoint: str) -> int:
    return int(endpoint.rsplit(":", 1)[1])


def until(happened: Callable[[], bool], within_s: float) -> float:
    """Wait for it; returns the seconds it took."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < within_s, f"did not happen within {within_s} s"
        time.sleep(0.005)
    return time.monotonic() - start


class Echo(threading.Thread):
    """A server that answers every frame with the sender's name and the frame; it makes and closes its link in its own thread."""

    def __init__(self, keys: ServerKeys, endpoint: str = "tcp://127.0.0.1:*") -> None:
        super().__init__(daemon=True)
        self.heard: list[tuple[str, bytes]] = []
        self.reports: list[str] = []
        self._keys, self.endpoint = keys, endpoint
        self._ready, self._over = threading.Event(), threading.Event()
        self.start()
        assert self._ready.wait(10)

    def run(self) -> None:
        with ServerLink(self.endpoint, self._keys, self.reports.append) as link:
            self.endpoint = link.endpoint
            self._ready.set()
            while not self._over.is_set():
                if (got := link.receive(0.02)) is not None:
                    self.heard.append((got.device, got.frame))
                    link.send(got.peer, got.device.encode() + b":" + got.frame)

    def close(self) -> None:
        self._over.set()
        self.join(10)
        assert not self.is_alive(), "closing a server hangs"


@contextmanager
def echo(keys: ServerKeys, endpoint: str = "tcp://127.0.0.1:*") -> Iterator[Echo]:
    server = Echo(keys, endpoint)
    try:
        yield server
    finally:
        server.close()


def asked(link: DeviceLink, frame: bytes, within_s: float) -> float:
    """Send until an answer to this very frame comes, as a protocol above would; returns the seconds it took."""
    start = time.monotonic()
    while True:
        link.send(frame)
        answer = link.receive(0.2)
        while answer is not None and not answer.endswith(b":" + frame):
            answer = link.receive(0.0)
        if answer is not None:
            return time.monotonic() - start
        assert time.monotonic() - start < within_s, f"no answer within {within_s} s"
