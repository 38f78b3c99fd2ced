"""What goes wrong inside a process, brought about before its command begins (`bench.forks.Forks.start`)."""

from __future__ import annotations

import resource
import signal
from typing import Any

import numpy as np

from fl.lab.device import DeviceProcess
from fl.lab.log import Log


def bit_flip(position: int) -> None:
    """A weight of the device is altered in memory when it has seen so many entries of the log."""
    apply = DeviceProcess._apply

    def hit(process: Any, entries: Any) -> None:
        apply(process, entries)
        if process._state.position == position:
            array = next(iter(process._built.replica._weights._flat.values()))
            array[0] += np.float32(1.0)  # a smaller change may be rounded away by the next move

    DeviceProcess._apply = hit  # type: ignore[method-assign]


def wrong_step(position: int) -> None:
    """The device's arithmetic gives another step for one entry of the log, whenever it applies it."""
    take = Log.take

    def wrong(log: Log, entry: Any) -> Any:
        if entry.position == position and entry.moves:
            seed, perturbation, amount = entry.moves[0]
            entry = type(entry)(**{f: getattr(entry, f) for f in entry.__struct_fields__} | {
                "moves": ((seed, perturbation, amount * 1.5 + 1e-3),)
            })  # fmt: skip
        return take(log, entry)

    Log.take = wrong  # type: ignore[method-assign]


def rare_digests() -> None:
    """The server treats the toy model as a large one, whose digests are compared at evaluations only."""
    import fl.lab.server

    fl.lab.server.SMALL = 0


def small_disk(bytes_: int) -> None:
    """No file grows beyond so many bytes: the disk is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, resource.RLIM_INFINITY))
