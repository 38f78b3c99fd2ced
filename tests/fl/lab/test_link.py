"""The transport on real sockets: names follow keys, strangers are refused in words, bad frames do no harm, nothing leaks."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from fl.lab.keys import enroll, init, load_device, load_server, revoke, throw_away
from fl.lab.link import DeviceLink, ServerLink
from radio.errors import InputError
from tests.fl.lab.echo import asked, echo, port_of, until

SERVER, DEVICES = throw_away(["bench-1", "bench-2", "bench-3"])
OTHER_SERVER, STRANGERS = throw_away(["bench-1"])
SOON_S = 2.0  # the promise: a refusal takes no longer


def test_three_devices_and_a_server_exchange_frames() -> None:
    with ServerLink("tcp://127.0.0.1:*", SERVER) as server:
        links = {name: DeviceLink(server.endpoint, keys) for name, keys in DEVICES.items()}
        peers = {}
        for name, link in links.items():
            assert link.send(b"I am somebody else")
            got = server.receive(5.0)
            assert got is not None and (got.device, got.frame) == (name, b"I am somebody else")
            peers[name] = got.peer
        assert len(set(peers.values())) == 3
        for name, peer in peers.items():
            assert server.send(peer, name.encode())
        for name, link in links.items():
            assert link.receive(5.0) == name.encode()
            assert link.receive(0.0) is None and link.connections == 1
            link.close()
        assert server.receive(0.05) is None
        until(lambda: not server.send(peers["bench-1"], b"anybody?"), 5.0)


def test_a_frame_of_the_largest_size_passes_and_a_larger_one_is_a_mistake_of_the_caller() -> None:
    with (
        ServerLink("tcp://127.0.0.1:*", SERVER, largest=1 << 20) as server,
        DeviceLink(server.endpoint, DEVICES["bench-1"], largest=1 << 20) as link,
    ):
        frame = os.urandom(1 << 20)
        link.send(frame)
        got = server.receive(5.0)
        assert got is not None and got.frame == frame
        server.send(got.peer, frame)
        assert link.receive(5.0) == frame
        for bad in (b"", frame + b"!"):
            with pytest.raises(ValueError, match="1 to 1048576 bytes"):
                link.send(bad)
            with pytest.raises(ValueError, match="1 to 1048576 bytes"):
                server.send(got.peer, bad)


def refusal(endpoint: str, keys: object) -> str:
    start = time.monotonic()
    with pytest.raises(InputError) as refused:
        DeviceLink(endpoint, keys)  # type: ignore[arg-type]
    assert time.monotonic() - start < SOON_S
    return str(refused.value)


def test_an_unknown_key_is_refused() -> None:
    stranger = STRANGERS["bench-1"]
    with echo(SERVER) as server:
        text = refusal(server.endpoint, type(stranger)("bench-1", stranger.public, stranger.secret, SERVER.public))
        assert "does not know the key of device 'bench-1'" in text and "pairzero keys enroll bench-1" in text
        until(lambda: any("not enrolled" in report for report in server.reports), SOON_S)
        assert server.heard == []


def test_a_wrong_server_key_is_refused() -> None:
    with echo(OTHER_SERVER) as server:
        text = refusal(server.endpoint, DEVICES["bench-1"])
        assert "has another key than the one device 'bench-1' was given" in text
        until(lambda: any("another server's key" in report for report in server.reports), SOON_S)
        assert server.heard == []


def test_a_server_without_curve_is_refused() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        port = router.bind_to_random_port("tcp://127.0.0.1")
        text = refusal(f"tcp://127.0.0.1:{port}", DEVICES["bench-1"])
        assert "it speaks ZeroMQ with NULL security, and pairzero requires CURVE" in text


def test_a_client_without_curve_is_refused() -> None:
    with echo(SERVER) as server, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(server.endpoint)
        dealer.send(b"let me in")
        until(lambda: any("a peer without CURVE" in report for report in server.reports), SOON_S)
        assert dealer.poll(100) == 0 and server.heard == []


@pytest.mark.parametrize("kind", ["greets first", "answers a line"])
def test_a_service_that_does_not_speak_zeromq_is_refused(kind: str) -> None:
    def serve(link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            heard = b""
            while kind == "answers a line" and b"\n" not in heard:
                heard += link.recv(64)
            link.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            while link.recv(64):
                pass

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, daemon=True).start()
        endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        text = refusal(endpoint, DEVICES["bench-1"])
        assert "is no pairzero server: it speaks another protocol" in text and "SSH-2.0" in text
        listener.shutdown(socket.SHUT_RDWR)


def test_a_revoked_device_is_cut_off_and_told_on_a_live_connection(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    init(folder)
    keys = load_device(enroll(folder, "bench-1"), "bench-1")
    with ServerLink("tcp://127.0.0.1:*", load_server(folder)) as server:
        with DeviceLink(server.endpoint, keys) as link:
            link.send(b"before")
            got = server.receive(5.0)
            assert got is not None and got.device == "bench-1"
            revoke(folder, "bench-1")
            assert not server.send(got.peer, b"secret")
            with pytest.raises(InputError, match=r"does not know the key of device 'bench-1'.*or revoked"):
                link.receive(5.0)
            link.send(b"after")
            assert server.receive(0.2) is None
        with pytest.raises(InputError, match="or revoked"):
            DeviceLink(server.endpoint, keys)
        new = load_device(enroll(folder, "bench-1"), "bench-1")
        with DeviceLink(server.endpoint, new) as link:
            link.send(b"again")
            got = server.receive(5.0)
            assert got is not None and got.device == "bench-1"


def test_nobody_listening_is_waited_for_and_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said: list[str] = []
    with pytest.raises(InputError, match=r"no server answered at tcp://127.0.0.1:\d+ in 0.4 s \(connection refused\)"):
        DeviceLink(f"tcp://127.0.0.1:{port}", DEVICES["bench-1"], said.append, patience_s=0.4)
    assert len(said) == 1 and "connection refused" in said[0] and "trying for up to 0.4 s" in said[0]


def test_a_device_that_starts_first_waits_for_its_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    said: list[str] = []
    made: list[DeviceLink] = []

    def device() -> None:
        with DeviceLink(endpoint, DEVICES["bench-1"], said.append) as link:
            asked(link, b"late", 5.0)
            made.append(link)

    thread = threading.Thread(target=device)
    thread.start()
    until(lambda: bool(said), 5.0)
    with echo(SERVER, endpoint):
        thread.join(5.0)
        assert made and said[-1].startswith(f"connected to {endpoint} after")


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:5755", "tcp://host", "tcp://host:0", "tcp://host:70000", "ipc:///x"]
)
def test_bad_addresses_are_refused(endpoint: str) -> None:
    for make in (lambda: ServerLink(endpoint, SERVER), lambda: DeviceLink(endpoint, DEVICES["bench-1"])):
        with pytest.raises(InputError, match=r"allowed is tcp://HOST:PORT"):
            make()


def test_a_taken_port_and_a_wildcard_to_connect_to_are_refused() -> None:
    with (
        ServerLink("tcp://127.0.0.1:*", SERVER) as server,
        pytest.raises(InputError, match=r"cannot listen at .*address already in use"),
    ):
        ServerLink(server.endpoint, SERVER)
    with pytest.raises(InputError, match="a device needs a host and a port"):
        DeviceLink("tcp://*:5755", DEVICES["bench-1"])


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(InputError, match=r"the name no-such-host\.invalid cannot be resolved"):
        DeviceLink("tcp://no-such-host.invalid:5755", DEVICES["bench-1"], patience_s=0.2)


def raw_dealer(context: zmq.Context, endpoint: str, queue: int = 1000) -> zmq.Socket:
    """An enrolled device whose program is broken."""
    keys = DEVICES["bench-2"]
    dealer = context.socket(zmq.DEALER)
    dealer.linger, dealer.sndhwm = 0, queue
    dealer.curve_publickey, dealer.curve_secretkey, dealer.curve_serverkey = keys.public, keys.secret, keys.server
    dealer.connect(endpoint)
    return dealer


def test_oversized_and_odd_frames_harm_nobody() -> None:
    with (
        zmq.Context() as context,
        ServerLink("tcp://127.0.0.1:*", SERVER, largest=1000) as server,
        raw_dealer(context, server.endpoint) as dealer,
        DeviceLink(server.endpoint, DEVICES["bench-1"]) as link,
    ):
        dealer.send(b"")
        dealer.send_multipart([b"", b"two parts"])
        dealer.send_multipart([b"two", b"parts"])
        dealer.send(b"x" * 1000)
        got = server.receive(5.0)
        assert got is not None and got.device == "bench-2" and len(got.frame) == 1000
        dealer.send(b"x" * 2000)
        assert server.receive(0.3) is None
        link.send(b"still here")
        got = server.receive(5.0)
        assert got is not None and (got.device, got.frame) == ("bench-1", b"still here")


def test_a_device_that_floods_a_busy_server_and_leaves_harms_nobody() -> None:
    """libzmq would abort the whole process if the queue were bounded and the server beat."""
    with ServerLink("tcp://127.0.0.1:*", SERVER) as server, DeviceLink(server.endpoint, DEVICES["bench-1"]) as link:
        with zmq.Context() as context, raw_dealer(context, server.endpoint, queue=0) as dealer:
            for _ in range(5000):
                dealer.send(b"x" * 100)
            time.sleep(0.5)
        time.sleep(1.5)  # more than one beat

        def heard() -> bool:
            link.send(b"still here")
            while (got := server.receive(0.0)) is not None:
                if got.device == "bench-1":
                    return True
            return False

        until(heard, 10.0)


def test_garbage_on_the_socket_harms_nobody() -> None:
    random = np.random.default_rng(7)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
    with echo(SERVER) as server, DeviceLink(server.endpoint, DEVICES["bench-1"]) as link:
        for k in range(60):
            with socket.create_connection(("127.0.0.1", port_of(server.endpoint)), 2.0) as raw:
                raw.sendall((greeting if k % 2 else b"") + random.bytes(int(random.integers(1, 300))))
        assert asked(link, b"still here", 5.0) < 5.0
        assert link.connections == 1


def test_open_and_close_leak_no_descriptor() -> None:
    def turn() -> None:
        with echo(SERVER) as server, DeviceLink(server.endpoint, DEVICES["bench-1"]) as link:
            asked(link, b"x", 5.0)
            with pytest.raises(InputError):
                DeviceLink(server.endpoint, STRANGERS["bench-1"], patience_s=0.0)

    turn()
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for _ in range(50):
        turn()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert threading.active_count() <= threads


def test_closing_never_hangs_with_frames_unsent() -> None:
    with ServerLink("tcp://127.0.0.1:*", SERVER) as server, DeviceLink(server.endpoint, DEVICES["bench-1"]) as link:
        link.send(b"hello")
        got = server.receive(5.0)
        assert got is not None
        for _ in range(300):
            link.send(b"x" * 100_000)
            server.send(got.peer, b"x" * 100_000)

        def close() -> None:
            link.close()
            link.close()
            server.close()
            server.close()

        closing = threading.Thread(target=close)
        closing.start()
        closing.join(10.0)
        assert not closing.is_alive()
