"""How soon a device's link is back: exchanges with a server through a proxy that resets connections and swallows everything."""

from __future__ import annotations

import threading
import time

from fl.lab.fault_proxy import FaultProxy
from fl.lab.keys import ServerKeys, throw_away
from fl.lab.link import DeviceLink, ServerLink

RESET_EVERY = 10
ANSWER_S = 0.2  # then the frame is sent again, as the protocol above would
GIVE_UP_S = 60.0


def rejoins(rounds: int, partition_s: float) -> tuple[int, float]:
    """(resets, longest): a reset in every tenth of `rounds` exchanges, then a partition.

    longest  seconds from the reset or from the partition's end to the first answer
    """
    keys, devices = throw_away(["device-0"])
    longest, resets = 0.0, 0
    with (
        _Echo(keys) as server,
        FaultProxy(server.port) as proxy,
        DeviceLink(proxy.endpoint, devices["device-0"]) as link,
    ):
        for index in range(rounds):
            broken = index % RESET_EVERY == RESET_EVERY - 1
            if broken:
                proxy.reset()
                resets += 1
            took = _answered(link, b"round %d" % index)
            longest = max(longest, took if broken else 0.0)
        proxy.blackhole()
        end = time.monotonic() + partition_s
        while (left := end - time.monotonic()) > 0:
            link.send(b"lost")
            link.receive(min(ANSWER_S, left))
        proxy.restore()
        longest = max(longest, _answered(link, b"after"))
    return resets, longest


def _answered(link: DeviceLink, frame: bytes) -> float:
    """Seconds until an answer to this very frame."""
    began = time.monotonic()
    while time.monotonic() - began < GIVE_UP_S:
        link.send(frame)
        answer = link.receive(ANSWER_S)
        while answer is not None and answer != frame:
            answer = link.receive(0.0)
        if answer is not None:
            break
    return time.monotonic() - began


class _Echo(threading.Thread):
    """A server that answers every frame with itself; its link is made and closed in its own thread."""

    def __init__(self, keys: ServerKeys) -> None:
        super().__init__(daemon=True)
        self.port = 0
        self._keys = keys
        self._ready, self._over = threading.Event(), threading.Event()

    def run(self) -> None:
        with ServerLink("tcp://127.0.0.1:*", self._keys) as link:
            self.port = int(link.endpoint.rpartition(":")[2])
            self._ready.set()
            while not self._over.is_set():
                if (got := link.receive(0.02)) is not None:
                    link.send(got.peer, got.frame)

    def __enter__(self) -> _Echo:
        self.start()
        self._ready.wait(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(10.0)
