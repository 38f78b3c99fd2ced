"""A TCP proxy that does to a link what labs do: delay, resets, a server that is down, a network that swallows everything.

It runs in threads of this process, for tests and drills, between a device and its server on one host:

    with FaultProxy(port) as proxy:
        link = DeviceLink(proxy.endpoint, keys)
        proxy.blackhole(); ...; proxy.restore()
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time


class FaultProxy:
    """Forwards a free port of 127.0.0.1 to `target`, a port of the same host.  `delay_s` may be changed at any time."""

    def __init__(self, target: int, delay_s: float = 0.0) -> None:
        self.target, self.delay_s = target, delay_s
        self._passing = threading.Event()
        self._passing.set()
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listen(0)

    @property
    def endpoint(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def reset(self) -> None:
        """Break every connection there is, at once and both ways (TCP RST); new ones pass."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            pair.abort()

    def half_open(self) -> None:
        """Both ends of every connection there is hear nothing more and are not told, as after a power cut; new ones pass."""
        with self._lock:
            for pair in self._pairs:
                pair.dead = True

    def blackhole(self) -> None:
        """Not a byte moves until `restore`; connections stay open, and new ones are accepted but lead nowhere yet."""
        self._passing.clear()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `restore`."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.reset()

    def restore(self) -> None:
        """End a blackhole or a cut."""
        self._passing.set()
        if self._listener is None:
            self._listen(self.port)

    def close(self) -> None:
        self.cut()
        self._passing.set()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, port: int) -> None:
        self._listener = listener = socket.create_server(("127.0.0.1", port))
        self.port: int = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                near, _ = listener.accept()
                threading.Thread(target=self._join, args=(near, listener), daemon=True).start()

    def _join(self, near: socket.socket, listener: socket.socket) -> None:
        self._passing.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 2.0)
        except OSError:
            return _abort(near)
        far.settimeout(None)
        pair = _Pair(near, far)
        with self._lock:
            self._pairs.add(pair)
        if self._listener is not listener:  # cut in the meantime
            return self.reset()
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(pair, source, sink), daemon=True).start()

    def _pump(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(self.delay_s)
                self._passing.wait()
                if not pair.dead:
                    sink.sendall(data)
        self._passing.wait()
        if not pair.dead:
            pair.abort()
            with self._lock:
                self._pairs.discard(pair)


class _Pair:
    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far, self.dead = near, far, False
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def abort(self) -> None:
        _abort(self.near)
        _abort(self.far)


def _abort(end: socket.socket) -> None:
    """Close with RST.  `shutdown` first, because `close` alone would leave a thread waiting in `recv` for ever."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)
    end.close()
