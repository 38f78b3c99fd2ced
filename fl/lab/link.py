"""The authenticated transport: frames of bytes between one server (ROUTER) and its devices (DEALER), CURVE on every connection.

A frame arrives whole or not at all, and may be lost whenever a link is: numbering, answers and repeats belong to who uses it.
Every wait has a deadline.  A link belongs to the thread that made it, and a process with a link must not fork.

Who a peer is follows from its CURVE key alone.  A revoked device is refused at its next handshake; on a live connection its
frames are dropped, nothing is sent to it any more, and each of its frames is answered with an empty frame, which means "revoked".
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import struct
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq
from zmq.auth.thread import ThreadAuthenticator

from fl.lab.greeting import ask, parse
from fl.lab.keys import KEY_LENGTH, DeviceKeys, ServerKeys
from radio.errors import InputError, StoppedEarly

LARGEST = 8 << 20  # bytes of a frame
BOX = 64  # more bytes than CURVE and ZMTP add to a frame
DOMAIN = "pairzero"
REVOKED = b""
HANDSHAKE_S = 3.0  # longest; it takes milliseconds
FIRST_HANDSHAKE_S = 1.0  # so that a wrong address is known soon
SILENCE_S = 3.0  # without a heartbeat: the link is lost
LINGER_S = 2.0  # for what is still unsent at the end
BACKOFF_S = (0.1, 1.0)  # first and longest pause between two attempts
REFUSALS = 3  # handshakes in a row that a server broke off: it cannot read us, its key is another
REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL

# pyzmq's flags are enumerations, which take longer to join than a frame takes to send
_AT_ONCE, _MORE = int(zmq.DONTWAIT), int(zmq.DONTWAIT) | int(zmq.SNDMORE)

Report = Callable[[str], None]
_serial = itertools.count()


class Frame(NamedTuple):
    peer: bytes  # where to answer: one connection of one device, opaque
    device: str  # whose key the connection was opened with
    frame: bytes


class ServerLink:
    """The server's end, listening from the start.  `report` is told about peers that are refused.

    `endpoint` is tcp://ADDRESS:PORT, where ADDRESS may be `*` (every interface) and PORT `*` (any that is free).
    Raises InputError for an address that cannot be had."""

    def __init__(
        self, endpoint: str, keys: ServerKeys, report: Report = lambda text: None, largest: int = LARGEST
    ) -> None:
        parse(endpoint)
        self._keys, self._report, self._largest = keys, report, largest
        self._told: dict[str, float] = {}
        self._context = zmq.Context()
        self._gate = ThreadAuthenticator(self._context)
        self._gate.start()
        self._gate.configure_curve_callback(DOMAIN, _Gatekeeper(keys))
        self._socket = _socket(self._context, zmq.ROUTER, largest)
        self._socket.curve_server = True
        self._socket.curve_secretkey = keys.secret
        # Without a domain libzmq lets everybody in whenever the gatekeeper is not there.
        self._socket.zap_domain = DOMAIN.encode()
        self._socket.router_mandatory = True
        self._monitor = _monitor(self._socket, REFUSED)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise InputError(
                f"cannot listen at {endpoint}: {error.strerror.lower()}; is another server running there? "
                "Name an address of this host and a free port (tcp://*:* takes any)"
            ) from None
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._poller = _poller(self._socket, self._monitor)

    def send(self, peer: bytes, frame: bytes) -> bool:
        """False if the peer is gone, does not read, or has been revoked: the frame is dropped."""
        _check(frame, self._largest)
        route, key = peer[:-KEY_LENGTH], peer[-KEY_LENGTH:]
        revoked = self._keys.name_of(key) is None
        return self._put(route, REVOKED if revoked else frame) and not revoked

    def receive(self, timeout_s: float) -> Frame | None:
        """The next frame of an enrolled device, or None after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            ready = [socket for socket, _ in self._poller.poll(_ms(left))]
            if self._monitor in ready:
                self._look()
            if self._socket in ready and (frame := self._take()) is not None:
                return frame
            if left <= 0:
                return None

    def close(self) -> None:
        """Idempotent; takes at most as long as `LINGER_S`."""
        if not self._context.closed:
            _close(self._socket, self._monitor, LINGER_S)
            self._gate.stop()
            self._context.term()

    def _take(self) -> Frame | None:
        try:
            route, *parts = self._socket.recv_multipart(_AT_ONCE, copy=False)
            key = str(parts[-1].get("User-Id"))
        except (zmq.ZMQError, IndexError):
            return None
        if len(parts) != 1 or not len(parts[0]):
            return None
        device = self._keys.name_of(key.encode())
        if device is None:
            self._put(route.bytes, REVOKED)
            self._say("a device whose key has been revoked is still sending; its frames are dropped, and it is told so")
            return None
        return Frame(route.bytes + key.encode(), device, parts[0].bytes)

    def _put(self, route: bytes, frame: bytes) -> bool:
        try:
            self._socket.send(route, _MORE)
            self._socket.send(frame, _AT_ONCE)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                return False
            raise
        return True

    def _look(self) -> None:
        for event, _ in _events(self._monitor):
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._say(
                    "refused a peer whose key is not enrolled, or was revoked; to let it in: pairzero keys enroll NAME"
                )
            else:
                self._say(
                    "a handshake failed: a peer without CURVE, with another server's key, or that is no pairzero device"
                )

    def _say(self, text: str) -> None:
        """At most once in 10 s each: a port scan must not fill the terminal."""
        if time.monotonic() - self._told.get(text, float("-inf")) > 10.0:
            self._told[text] = time.monotonic()
            self._report(text)

    def __enter__(self) -> ServerLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeviceLink:
    """A device's end.  Made, it is connected; a link that is lost is made anew, inside `receive` and `send`.

    A server that is not there is waited for with growing pauses, `patience_s` at most, and `report` is told why; then
    InputError is raised, or StoppedEarly if there was a link before.  A server that refuses this device, that has another
    key or that is something else raises InputError at once.  `connections` counts the links so far: when it grows, what
    was under way is lost, and the server knows this device by a new address.
    """

    def __init__(
        self,
        endpoint: str,
        keys: DeviceKeys,
        report: Report = lambda text: None,
        patience_s: float = 120.0,
        largest: int = LARGEST,
    ) -> None:
        host, port = parse(endpoint)
        if "*" in (host, port):
            raise InputError(
                f"address {endpoint!r}: `*` is for a server that listens; a device needs a host and a port"
            )
        self.connections = 0
        self._host, self._port, self._endpoint, self._keys = host, int(port), endpoint, keys
        self._report, self._patience_s, self._largest = report, patience_s, largest
        self._context = zmq.Context()
        self._socket: zmq.Socket | None = None
        self._up = False
        self._away_since = time.monotonic()
        self._why = self._told = ""
        self._pause_s, self._retry_at = BACKOFF_S[0], 0.0
        self._refusals = 0
        try:
            while not self._up:
                self._attend(time.monotonic() + 1.0)
        except BaseException:
            self.close()
            raise

    @property
    def up(self) -> bool:
        """Whether there is a link, as far as is known."""
        return self._up

    def send(self, frame: bytes) -> bool:
        """False, and the frame is dropped, while there is no link or the server does not read."""
        _check(frame, self._largest)
        self._attend(time.monotonic())
        if not self._up or self._socket is None:
            return False
        try:
            self._socket.send(frame, _AT_ONCE)
        except zmq.Again:
            return False
        return True

    def receive(self, timeout_s: float) -> bytes | None:
        """The server's next frame, or None after `timeout_s` (half a second more while a lost server is looked for).  Raises
        InputError when this device has been revoked, StoppedEarly when the server stays away."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._up and self._socket is not None:
                with contextlib.suppress(zmq.Again):
                    parts = self._socket.recv_multipart(_AT_ONCE)
                    if parts == [REVOKED]:
                        raise self._unknown()
                    if len(parts) == 1:
                        return parts[0]
            left = deadline - time.monotonic()
            self._attend(deadline)
            if left <= 0:
                return None

    def close(self) -> None:
        """Idempotent; takes at most as long as `LINGER_S`."""
        if not self._context.closed:
            self._hang_up(LINGER_S if self._up else 0.0)
            self._context.term()

    def _attend(self, until: float) -> None:
        """Wait for a frame or for news of the link, until `until` at most (monotonic seconds)."""
        now = time.monotonic()
        if self._socket is None:
            if now - self._away_since > self._patience_s:
                raise self._gone()
            time.sleep(max(0.0, min(until, self._retry_at) - now))
            if time.monotonic() < self._retry_at:
                return
            self._dial()
        ready = self._poller.poll(_ms((until if self._up else min(until, self._give_up)) - time.monotonic()))
        news = any(socket is self._monitor for socket, _ in ready)
        for event, value in _events(self._monitor) if news else ():
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._answered()
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == 400:
                raise self._unknown()
            else:
                broken_off = event != zmq.EVENT_CLOSED and value != errno.EAGAIN
                return self._lost() if self._up else self._failed(broken_off)
        if not self._up and time.monotonic() >= self._give_up:
            self._failed(broken_off=False)

    def _dial(self) -> None:
        """One attempt on a socket of its own: libzmq's own reconnection ends for ever at a protocol error, and what it queued
        for one connection it would send on the next."""
        self._socket = _socket(self._context, zmq.DEALER, self._largest)
        self._socket.reconnect_ivl = -1
        self._socket.curve_publickey, self._socket.curve_secretkey = self._keys.public, self._keys.secret
        self._socket.curve_serverkey = self._keys.server
        self._monitor = _monitor(
            self._socket,
            REFUSED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED,
        )
        self._poller = _poller(self._socket, self._monitor)
        self._give_up = time.monotonic() + (HANDSHAKE_S if self._why else FIRST_HANDSHAKE_S)
        self._socket.connect(self._endpoint)

    def _hang_up(self, linger_s: float = 0.0) -> None:
        if self._socket is not None:
            _close(self._socket, self._monitor, linger_s)
            self._socket, self._up = None, False

    def _answered(self) -> None:
        self._up = True
        self.connections += 1
        if self._told:
            self._report(f"connected to {self._endpoint} after {time.monotonic() - self._away_since:.1f} s")
        self._pause_s, self._refusals, self._told = BACKOFF_S[0], 0, ""

    def _lost(self) -> None:
        self._hang_up()
        self._away_since, self._retry_at = time.monotonic(), 0.0
        self._why = self._told = "the link broke"
        self._report(f"lost the link to {self._endpoint}; trying again for up to {self._patience_s:g} s")

    def _failed(self, broken_off: bool) -> None:
        """An attempt came to nothing: find out why, raise if waiting cannot mend it, and try again after a pause."""
        self._hang_up()
        self._why = "it does not answer"
        if broken_off or not self.connections:
            answer = ask(self._host, self._port)
            self._why = answer.why
            self._refusals = self._refusals + 1 if broken_off and answer.speaks == "CURVE" else 0
            if answer.speaks not in (None, "CURVE"):
                raise InputError(
                    f"{self._endpoint} is no pairzero server: {answer.why}, and pairzero requires CURVE; mend the address"
                )
            if self._refusals >= REFUSALS:
                raise InputError(
                    f"the server at {self._endpoint} has another key than the one device {self._keys.name!r} was given: "
                    "the wrong host, or the server has new keys; "
                    f"run `pairzero keys enroll {self._keys.name}` there and carry the folder here"
                )
        if self._why != self._told:
            self._told = self._why
            self._report(f"no server at {self._endpoint} yet ({self._why}); trying for up to {self._patience_s:g} s")
        self._retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, BACKOFF_S[1])

    def _unknown(self) -> InputError:
        return InputError(
            f"the server at {self._endpoint} does not know the key of device {self._keys.name!r}: "
            f"never enrolled there, or revoked; run `pairzero keys enroll {self._keys.name}` on the server's host "
            "and carry the folder that it names here"
        )

    def _gone(self) -> InputError | StoppedEarly:
        if not self.connections:
            return InputError(
                f"no server answered at {self._endpoint} in {self._patience_s:g} s ({self._why}); "
                "start it there, or mend the address, the network or a firewall"
            )
        return StoppedEarly(
            f"the server at {self._endpoint} has been away for {self._patience_s:g} s ({self._why}); "
            "nothing is lost: when it is back, start this device again"
        )

    def __enter__(self) -> DeviceLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Gatekeeper:
    """Asked by libzmq's authenticator, in its thread, at every handshake."""

    def __init__(self, keys: ServerKeys) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        return self._keys.name_of(key) is not None


def _socket(context: zmq.Context, kind: int, largest: int) -> zmq.Socket:
    socket = context.socket(kind)
    socket.linger = 0
    socket.maxmsgsize = largest + BOX
    socket.sndhwm = 256  # frames waiting for one peer
    # libzmq 4.3.5 aborts the process where a full receive queue, a lost peer and a heartbeat meet (libzmq issues 3937 and
    # 4364): so queues are not bounded, and only devices beat; the server answers, and goes by the time to live that a beat names.
    socket.rcvhwm = 0
    socket.handshake_ivl = _ms(HANDSHAKE_S)
    if kind == zmq.DEALER:
        socket.heartbeat_ivl = _ms(SILENCE_S / 3)
        socket.heartbeat_timeout = socket.heartbeat_ttl = _ms(SILENCE_S)
    return socket


def _monitor(socket: zmq.Socket, events: int) -> zmq.Socket:
    """`get_monitor_socket`, but without a limit: libzmq's I/O thread would stop at a full one while the owner computes."""
    address = f"inproc://monitor-{next(_serial)}"
    socket.monitor(address, events)
    monitor = socket.context.socket(zmq.PAIR)
    monitor.linger = monitor.rcvhwm = 0
    monitor.connect(address)
    return monitor


def _events(monitor: zmq.Socket) -> Iterator[tuple[int, int]]:
    """Events waiting, each with its value: an errno, a ZMTP error or a ZAP status."""
    while True:
        try:
            event, value = struct.unpack("=hi", monitor.recv_multipart(_AT_ONCE)[0])
        except zmq.Again:
            return
        yield event, value


def _close(socket: zmq.Socket, monitor: zmq.Socket, linger_s: float) -> None:
    socket.disable_monitor()
    monitor.close()
    socket.close(_ms(linger_s))


def _poller(*sockets: zmq.Socket) -> zmq.Poller:
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    return poller


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000 + 0.5))


def _check(frame: bytes, largest: int) -> None:
    if not 0 < len(frame) <= largest:
        raise ValueError(f"a frame has 1 to {largest} bytes, this one {len(frame)}")
