"""The simulated air of lab mode: a process of its own, so that the server never sees what a device sent.

The server starts it (`LabAir`) and asks it, over a pipe, for soundings and sums: `ChannelState` and `Received` are all it
gets.  Devices hand it their payloads over a link of their own, with their own keys (`AirLink`).

With radios there is no such process: see `fl.lab.device_radio` and `fl.lab.remote_cast`.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment, validate
from fl.lab.keys import DeviceKeys, load_server
from fl.lab.link import DeviceLink, ServerLink
from fl.lab.messages import MessageError, OnAir, Payload, Propose, encode, on_air, payload
from radio.air import Air, AirPlan, ChannelState, Exposed, Mode, Received
from radio.errors import InputError
from radio.modes import MODES, open_air

ANSWER_S = 600.0  # for an answer of the process

T = TypeVar("T", ChannelState, AirPlan, Received)
CONNECT_S = 3.0  # a device's patience with an air that does not answer


def pack(record: ChannelState | AirPlan | Received) -> dict[str, Any]:
    """A record of arrays and numbers as msgpack can carry it, to the last bit."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {name: [v.dtype.str, v.tobytes()] if isinstance(v, np.ndarray) else v for name, v in fields.items()}


def unpack(kind: type[T], fields: dict[str, Any]) -> T:
    """Inverse of `pack`, for the one-dimensional arrays these records hold."""
    found: dict[str, Any] = {n: np.frombuffer(v[1], v[0]) if isinstance(v, list) else v for n, v in fields.items()}
    return kind(**found)


class Transmitter(Protocol):
    """How a device gets its payload on the simulated air."""

    def transmit(self, slot: int, values: NDArray[np.float64], propose: Propose, window_s: float) -> bool:
        """Once; False if it is not certain to have been sent.  Returns within `window_s`."""

    def close(self) -> None: ...


class AirLink:
    """A device's transmitter where the air is simulated."""

    def __init__(self, endpoint: str, keys: DeviceKeys) -> None:
        self._link = DeviceLink(endpoint, keys, patience_s=CONNECT_S)

    def transmit(self, slot: int, values: NDArray[np.float64], propose: Propose, window_s: float) -> bool:
        deadline = time.monotonic() + window_s
        if not self._link.send(encode(Payload(slot, tuple(values.tolist())))):
            return False
        while (left := deadline - time.monotonic()) > 0:
            frame = self._link.receive(left)
            if frame is not None and on_air(frame).slot == slot:
                return True
        return False

    def close(self) -> None:
        self._link.close()


class LabAir:
    """`radio.air.Receiver` as the server has it: the process behind it adds up what it never shows.

    listening  host that devices reach the server at, or `*`
    keys       key folder
    present    (K,) who may take part in the next slot; the others are as good as unheard
    names      (K) whose link is whose

    Raises InputError where the experiment has no such air or the address cannot be had.
    """

    def __init__(
        self,
        experiment: Experiment,
        listening: str,
        keys: Path,
        present: Callable[[], NDArray[np.bool_]],
        names: Callable[[], Sequence[str]],
    ):
        self.devices = experiment.learning.devices
        self._mode = MODES[experiment.radio.mode]
        self._present, self._names = present, names
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "fl.lab.air_service", str(theirs.fileno())]
            # a session of its own: Ctrl-C is for the server, which closes the pipe when it is done
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        self._pipe = Connection(ours.detach())
        try:
            opened = self._ask(experiment.model_dump_json(), f"tcp://{listening}:*", str(keys))
        except BaseException:
            self.close()
            raise
        self.port: int = opened[0]
        self.on_air_samples: int = opened[1]

    @property
    def mode(self) -> Mode:
        return self._mode

    def sound(self, round_index: int) -> ChannelState:
        state = unpack(ChannelState, self._ask("sound", round_index))
        return replace(state, quality=state.quality & self._present())

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """What was received of the devices that are active in `plan`, who have sent already."""
        return unpack(Received, self._ask("receive", round_index, scalars, pack(plan), list(self._names())))

    def close(self) -> None:
        self._pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, *words: Any) -> Any:
        try:
            self._pipe.send_bytes(msgspec.msgpack.encode(words))
            if not self._pipe.poll(ANSWER_S):
                raise InputError(f"the simulated air has not answered in {ANSWER_S:g} s; resume the run")
            fault, answer = msgspec.msgpack.decode(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise InputError("the process of the simulated air has ended; resume the run") from None
        if fault:
            raise InputError(fault)
        return answer


class _Service:
    """In the process of the air: one thread takes payloads, the main one answers the server."""

    def __init__(self, experiment: Experiment, endpoint: str, keys: Path) -> None:
        settings = experiment.radio.air_settings
        self._air: Air = open_air(experiment.learning.devices, experiment.run.seed, **settings)
        self._heard: dict[str, Payload] = {}  # the last of each device: nobody can fill the memory
        self._leaving = threading.Event()
        self._opened: list[Any] = []
        self._thread = threading.Thread(target=self._listen, args=(endpoint, keys), daemon=True)
        self._thread.start()
        while not self._opened:
            time.sleep(0.005)
        if isinstance(self._opened[0], BaseException):
            raise self._opened[0]

    @property
    def opened(self) -> tuple[int, int]:
        """Port, and samples on air where the mode tells."""
        return self._opened[0], self._air.on_air_samples if isinstance(self._air, Exposed) else 0

    def _listen(self, endpoint: str, keys: Path) -> None:
        try:
            link = ServerLink(endpoint, load_server(keys))
        except BaseException as error:
            self._opened.append(error)
            return
        with link:
            self._opened.append(int(link.endpoint.rpartition(":")[2]))
            while not self._leaving.is_set():
                frame = link.receive(0.5)
                if frame is None:
                    continue
                try:
                    sent = payload(frame.frame)
                except MessageError:
                    continue
                self._heard[frame.device] = sent
                link.send(frame.peer, encode(OnAir(sent.slot)))

    def sound(self, slot: int) -> dict[str, Any]:
        return pack(self._air.sound(slot))

    def receive(self, slot: int, scalars: int, packed: dict[str, Any], names: list[str]) -> dict[str, Any]:
        plan = unpack(AirPlan, packed)
        payloads = np.zeros((self._air.devices, scalars))
        for k, name in enumerate(names):
            sent = self._heard.get(name)
            if sent is not None and sent.slot == slot and len(sent.values) == scalars:
                payloads[k] = sent.values
        received = self._air.aggregate(slot, payloads, plan)
        # What only transmitters know would tell the server how large each of the numbers is.
        unknown = np.full(self._air.devices, -1)
        return pack(replace(received, clipped=unknown, transmit_power_dbfs=self._air.mode.peak_dbfs(plan)))

    def close(self) -> None:
        self._leaving.set()
        self._thread.join(2.0)
        self._air.close()


def serve(pipe: Connection) -> None:
    """Answer until the server hangs up."""
    service: _Service | None = None
    while True:
        try:
            words = msgspec.msgpack.decode(pipe.recv_bytes())
        except (EOFError, OSError):
            break
        fault, answer = "", None  # type: str, Any
        try:
            if service is None:
                text, endpoint, keys = words
                service = _Service(validate(msgspec.json.decode(text), "the server's experiment"), endpoint, Path(keys))
                answer = service.opened
            elif words[0] == "sound":
                answer = service.sound(words[1])
            else:
                answer = service.receive(*words[1:])
        except InputError as error:
            fault = str(error)
        pipe.send_bytes(msgspec.msgpack.encode((fault, answer)))
    if service is not None:
        service.close()


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    serve(Connection(int(sys.argv[1])))
