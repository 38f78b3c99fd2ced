"""Virtual Plutos on the network: IIOD for each of them, one thread a connection."""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import AddressValueError, IPv4Address

from radio.emulator import protocol
from radio.emulator.air import Air
from radio.emulator.buffers import CaptureBuffer, TransmitBuffer
from radio.emulator.clock import Clock
from radio.emulator.faults import Fault
from radio.emulator.protocol import Command, ProtocolError
from radio.emulator.unit import VirtualPluto
from radio.errors import InputError
from radio.profiles import Profile
from radio.profiles import profile as named

PORT = 30431
MOST_UNITS = 64


class _Drop(Exception):
    """The connection ends here."""


class _Connection:
    """One client's connection: commands in, replies out, at most one buffer."""

    def __init__(self, station: _Station, link: socket.socket) -> None:
        self._station, self._link = station, link
        self._unit, self._lock = station.unit, station.lock
        self._buffer: CaptureBuffer | TransmitBuffer | None = None
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = link.makefile("rb", buffering=1 << 16)

    def serve(self) -> None:
        try:
            while line := self._file.readline(protocol.LONGEST_LINE):
                reply = self._answer(line)
                if reply is not None:
                    self._link.sendall(reply)
        except (_Drop, OSError, ValueError):
            pass  # the client went away, or was sent away
        finally:
            self._release()
            self._file.close()
            self._link.close()
            self._station.forget(self)

    def cut(self) -> None:
        """End the connection from outside."""
        with suppress(OSError):  # it has ended already
            self._link.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._buffer is not None:
            with self._lock:
                self._unit.close(self._buffer)
            self._buffer = None

    def _answer(self, line: bytes) -> bytes | None:
        try:
            command = protocol.parse(line)
        except ProtocolError:
            return protocol.status(-errno.EINVAL)
        if command is None:
            return None
        if command.word == "EXIT":
            raise _Drop
        payload = self._file.read(command.number) if command.word == "WRITE" else b""
        try:
            saturated, gap_s = self._suffer(command)
            return self._execute(command, payload, saturated, gap_s)
        except OSError as error:
            if error.errno is None or isinstance(error, (ConnectionError, TimeoutError)):
                raise
            return protocol.status(-error.errno)

    def _suffer(self, command: Command) -> tuple[bool, float]:
        """Let the faults happen that this command meets; what they do to a block is returned."""
        events = {"READBUF": ["capture"], "OPEN": ["open"]}.get(command.word, [])
        with self._lock:
            hits = [fault for event in ["command", *events] for fault in self._unit.faults.strike(event)]
        saturated, gap_s = False, 0.0
        for fault in hits:
            if fault.kind == "stall":
                self._stall(fault.seconds)
            elif fault.kind == "drop":
                raise _Drop
            elif fault.kind in ("eio", "ebusy"):
                raise OSError(errno.EIO if fault.kind == "eio" else errno.EBUSY, fault.kind)
            elif fault.kind == "power":
                self._station.lose_power(fault.seconds)
                raise _Drop
            elif fault.kind == "phase":
                with self._lock:
                    self._unit.rotate()
            saturated = saturated or fault.kind == "saturate"
            gap_s = max(gap_s, fault.seconds if fault.kind == "gap" else 0.0)
        return saturated, gap_s

    def _stall(self, seconds: float) -> None:
        """Be silent that long, or until the client has had enough: it may come back before the time is over."""
        until = time.monotonic() + seconds
        over = False
        while not over:
            # Looked at after the time is over as well: what its client has given up must not be done late.
            over = self._station.leaving.wait(0.02) or time.monotonic() > until
            readable, _, _ = select.select([self._link], [], [], 0.0)
            if readable and not self._link.recv(1, socket.MSG_PEEK):
                raise _Drop

    def _execute(self, command: Command, payload: bytes, saturated: bool, gap_s: float) -> bytes:
        unit, place = self._unit, command.place
        match command.word:
            case "PRINT":
                with self._lock:
                    return protocol.document(unit.description)
            case "VERSION":
                return protocol.VERSION
            case "TIMEOUT":
                return protocol.status(0)
            case "READ":
                with self._lock:
                    found = unit.attributes(place)
                    if place.attribute:
                        return protocol.value(found[0].read())
                    return protocol.values([one.read() for one in found])
            case "WRITE":
                if not place.attribute:
                    return protocol.status(-errno.ENOSYS)
                text = payload.rstrip(b"\0").decode("ascii", errors="replace")
                with self._lock:
                    unit.attributes(place)[0].store(text)
                return protocol.status(command.number)
            case "SET":
                with self._lock:
                    unit.set_depth(place.device, command.number)
                return protocol.status(0)
            case "OPEN":
                if self._buffer is not None:
                    return protocol.status(-errno.EBUSY)
                with self._lock:
                    self._buffer = unit.open(place.device, command.number, command.mask, command.cyclic)
                return protocol.status(0)
            case "CLOSE":
                if self._buffer is None:
                    return protocol.status(-errno.EBADF)
                self._release()
                return protocol.status(0)
            case "READBUF":
                return self._read(command.number, saturated, gap_s)
            case "WRITEBUF":
                return self._write(command.number)
            case _:
                return protocol.status(protocol.refused(command))

    def _read(self, size: int, saturated: bool, gap_s: float) -> bytes:
        buffer = self._buffer
        if not isinstance(buffer, CaptureBuffer) or size == 0:
            return protocol.status(-errno.EBADF)
        while not buffer.enough(size):
            with self._lock:
                block = buffer.next_block()
                buffer.feed(block.samples(saturated, gap_s))
            self._unit.clock.wait(block.end_s)
        return protocol.samples(buffer.take(size), buffer.mask)

    def _write(self, size: int) -> bytes:
        buffer = self._buffer
        if not isinstance(buffer, TransmitBuffer):
            return protocol.status(-errno.EBADF)
        buffer.check(size)
        self._link.sendall(protocol.status(0))
        data = self._file.read(size)
        if len(data) < size:
            raise _Drop
        with self._lock:
            buffer.write(data)
        return protocol.status(size)


class _Station:
    """One unit and the socket it listens on."""

    def __init__(self, unit: VirtualPluto, lock: threading.RLock, host: str, port: int) -> None:
        self.unit, self.lock = unit, lock
        self.leaving = threading.Event()
        self._connections: set[_Connection] = set()
        self._power = threading.Event()
        self._away_s = 0.0
        self._listener = _listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name=f"{unit.serial} listens", daemon=True)

    @property
    def uri(self) -> str:
        host, port = self.address
        return f"ip:{host}" if port == PORT else f"ip:{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def _accept(self) -> None:
        while not self.leaving.is_set():
            try:
                link, _ = self._listener.accept()
            except OSError:
                if self.leaving.is_set() or not self._power.is_set():
                    return
                self.leaving.wait(self._away_s)
                self._listener = self._again()
                self._power.clear()
                if self.leaving.is_set():
                    self._listener.close()
                continue
            connection = _Connection(self, link)
            with self.lock:
                self._connections.add(connection)
            threading.Thread(target=connection.serve, name=f"{self.unit.serial} serves", daemon=True).start()

    def _again(self) -> socket.socket:
        while not self.leaving.is_set():
            try:
                return _listen(*self.address)
            except InputError:
                time.sleep(0.05)
        return self._listener

    def forget(self, connection: _Connection) -> None:
        with self.lock:
            self._connections.discard(connection)

    def lose_power(self, seconds: float) -> None:
        """Everybody is disconnected; after `seconds` the unit listens again, with everything as it boots."""
        self._away_s = seconds
        self._power.set()
        with self.lock:  # nobody's command comes between
            self.unit.clock.pass_until(self.unit.clock.now + seconds)
            self.unit.boot()
            self._hang_up()

    def _hang_up(self) -> None:
        with suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which close() does not
        self._listener.close()
        with self.lock:
            connections = list(self._connections)
        for connection in connections:
            connection.cut()

    def close(self) -> None:
        self.leaving.set()
        self._hang_up()
        if self._thread.ident is not None:
            self._thread.join(5.0)


class Plutos:
    """Units that are being served; a context manager. See `serve`.

    Attributes:
        uris: what pyadi-iio and libiio's tools connect to, by unit.
        units: the units themselves, for tests in the same process.
    """

    def __init__(self, stations: Sequence[_Station], lock: threading.RLock) -> None:
        self._stations = stations
        self.lock = lock
        self.units = [station.unit for station in stations]
        self.uris = [station.uri for station in stations]

    def __enter__(self) -> Plutos:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect everybody and stop listening. Safe to call more than once."""
        for station in self._stations:
            station.close()


def serve(
    count: int = 5,
    *,
    profile: str | Profile = "pluto-bench",
    clock: str = "free",
    seed: int = 0,
    realtime: bool = False,
    faults: Sequence[Fault] = (),
    host: str = "127.0.0.2",
    port: int | None = None,
) -> Plutos:
    """Serve `count` virtual Plutos on one air, in threads of this process.

    Args:
        count: of units.
        profile: surroundings, see `radio.profiles`, by name or as they are.
        clock: "free", or "shared" for one 40 MHz reference.
        seed: of every draw.
        realtime: the sample clock is the computer's; otherwise it runs as fast as it is read.
        faults: what is to go wrong.
        host, port: without a port, the units take consecutive addresses from `host` on at the default port 30431; with
            one, consecutive ports of `host` (0: any that are free).

    Raises:
        InputError: unknown profile, or an address that cannot be had.
    """
    if not 1 <= count <= MOST_UNITS:
        raise InputError(f"count is {count}; allowed: 1 to {MOST_UNITS}")
    if clock not in ("free", "shared"):
        raise InputError(f"clock is {clock!r}; allowed: free, shared")
    surroundings = named(profile) if isinstance(profile, str) else profile
    if clock == "shared":
        surroundings = surroundings.shared_clock()
    addresses = _addresses(host, port, count)
    air, time_, lock = Air(surroundings, count, seed), Clock(realtime), threading.RLock()
    stations: list[_Station] = []
    try:
        for index, address in enumerate(addresses):
            unit = VirtualPluto(index, air, time_, [fault for fault in faults if fault.unit == index])
            stations.append(_Station(unit, lock, *address))
    except BaseException:
        for station in stations:
            station.close()
        raise
    for station in stations:
        station.start()
    return Plutos(stations, lock)


def _addresses(host: str, port: int | None, count: int) -> list[tuple[str, int]]:
    if port is not None:
        if not 0 <= port <= 65536 - count:
            raise InputError(f"port is {port}; {count} consecutive ports up to 65535 are needed, or 0 for any")
        return [(host, port + index if port else 0) for index in range(count)]
    try:
        first = IPv4Address(host)
    except AddressValueError:
        raise InputError(f"host is {host!r}; without --port an IPv4 address is needed, the first of {count}") from None
    return [(str(first + index), PORT) for index in range(count)]


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(32)
    except OSError as error:
        listener.close()
        hint = (
            "another `pairzero emulate` may hold it: stop that one, or choose --host or --port"
            if error.errno == errno.EADDRINUSE
            else "where only 127.0.0.1 is an address of this machine (macOS), use --host 127.0.0.1 --port 30431"
        )
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None
    return listener
