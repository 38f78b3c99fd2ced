"""Links that fail: the proxy does what it says, and devices are back within five seconds of the link's return."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from fl.lab.fault_proxy import FaultProxy
from fl.lab.keys import throw_away
from fl.lab.link import DeviceLink, ServerLink
from radio.errors import StoppedEarly
from tests.fl.lab.echo import Echo, asked, echo, port_of, until

SERVER, DEVICES = throw_away(["bench-1", "bench-2"])
BACK_S = 5.0


@pytest.fixture
def served() -> Iterator[tuple[Echo, FaultProxy]]:
    with echo(SERVER) as server, FaultProxy(port_of(server.endpoint)) as proxy:
        yield server, proxy


def test_delay(served: tuple[Echo, FaultProxy]) -> None:
    _, proxy = served
    with DeviceLink(proxy.endpoint, DEVICES["bench-1"]) as link:
        proxy.delay_s = 0.1
        assert asked(link, b"slow", 5.0) >= 0.2


def test_resets_are_survived(served: tuple[Echo, FaultProxy]) -> None:
    _, proxy = served
    said: list[str] = []
    with DeviceLink(proxy.endpoint, DEVICES["bench-1"], said.append) as link:
        for k in range(5):
            asked(link, b"before %d" % k, BACK_S)
            proxy.reset()
            asked(link, b"after %d" % k, BACK_S)
        assert link.connections == 6
        assert sum("lost the link" in text for text in said) == sum("connected to" in text for text in said) == 5


def test_a_three_second_blackhole_is_survived(served: tuple[Echo, FaultProxy]) -> None:
    _, proxy = served
    with DeviceLink(proxy.endpoint, DEVICES["bench-1"]) as link:
        asked(link, b"before", BACK_S)
        proxy.blackhole()
        end = time.monotonic() + 3.0
        while time.monotonic() < end:
            link.send(b"lost")
            assert link.receive(0.2) is None
        proxy.restore()
        asked(link, b"after", BACK_S)


def test_a_half_open_link_is_noticed_and_made_anew(served: tuple[Echo, FaultProxy]) -> None:
    _, proxy = served
    with DeviceLink(proxy.endpoint, DEVICES["bench-1"]) as link:
        asked(link, b"before", BACK_S)
        proxy.half_open()
        asked(link, b"after", BACK_S + 3.0)  # three seconds of silence say that it is dead
        assert link.connections == 2


def test_a_server_that_is_down_is_waited_for(served: tuple[Echo, FaultProxy]) -> None:
    _, proxy = served
    said: list[str] = []
    with DeviceLink(proxy.endpoint, DEVICES["bench-1"], said.append) as link:
        proxy.cut()
        until(lambda: link.receive(0.05) is None and len(said) >= 2, 5.0)
        assert not link.send(b"nobody hears this")
        proxy.restore()
        asked(link, b"after", BACK_S)
        assert "lost the link" in said[0] and "no server at" in said[1] and "connected to" in said[-1]


def test_a_server_restarted_on_its_port_is_found_again_by_all() -> None:
    with echo(SERVER) as first:
        endpoint = first.endpoint
        links = [DeviceLink(endpoint, keys) for keys in DEVICES.values()]
        for link in links:
            asked(link, b"before", BACK_S)
    for link in links:
        assert link.receive(0.3) is None
    with echo(SERVER, endpoint):
        for link in links:
            asked(link, b"after", BACK_S)
            assert link.connections == 2
            link.close()


def test_a_server_that_stays_away_ends_the_device_resumably() -> None:
    with ServerLink("tcp://127.0.0.1:*", SERVER) as server:
        link = DeviceLink(server.endpoint, DEVICES["bench-1"], patience_s=0.5)
    with link, pytest.raises(StoppedEarly, match=r"away for 0.5 s .*start this device again"):
        while True:
            link.receive(1.0)


def test_a_link_that_never_gets_through_at_the_start_is_not_called_a_wrong_key(
    served: tuple[Echo, FaultProxy],
) -> None:
    _, proxy = served
    proxy.blackhole()
    said: list[str] = []
    answered: list[float] = []

    def device() -> None:
        with DeviceLink(proxy.endpoint, DEVICES["bench-1"], said.append) as link:
            answered.append(asked(link, b"x", 5.0))

    thread = threading.Thread(target=device)
    thread.start()
    until(lambda: any("it does not answer" in text for text in said), 8.0)
    proxy.restore()
    thread.join(BACK_S)
    assert answered


def test_a_tunnel_with_nothing_behind_it_is_waited_on() -> None:
    """ssh -L accepts and hangs up while the far side is down: no reason to give up."""
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        target = nobody.getsockname()[1]
    with FaultProxy(target) as proxy:
        made: list[DeviceLink] = []
        thread = threading.Thread(
            target=lambda: made.append(DeviceLink(proxy.endpoint, DEVICES["bench-1"], said.append)), daemon=True
        )
        thread.start()
        until(lambda: bool(said), 5.0)
        with echo(SERVER, f"tcp://127.0.0.1:{target}"):
            thread.join(BACK_S)
            assert made
            made[0].close()
