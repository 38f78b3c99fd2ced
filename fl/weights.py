"""The trained weights as a log of exactly rounded moves (design decision 4).

Moves are queued and carried out, in order and in one pass over memory, when somebody needs the weights: restoring after a
probe, the step, and going to the next round's first point are one pass, and so are many rounds of a replay.  That merges
passes without changing a bit, because a weight sees the same roundings in the same order either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fl.directions.direction import Direction, Operations
from fl.update import Move, RoundUpdate

SEGMENT = 1 << 20  # elements a thread takes at a time
QUEUE = 4096  # moves that are held back at most

Settled = Callable[[str, int, int], None]  # (parameter, first, last) have new values


class Weights:
    """In-place arithmetic on a set of named fp32 parameters.

    parameters  names to contiguous fp32 arrays that share memory with the model
    direction   what z is
    threads     more of them change the time and nothing else
    settled     called with every range that has moved, by the thread that moved it, while it is in cache
    """

    def __init__(
        self,
        parameters: Mapping[str, NDArray[np.float32]],
        direction: Direction,
        threads: int = 1,
        settled: Settled | None = None,
    ) -> None:
        for name, array in parameters.items():
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                raise ValueError(
                    f"{name}: {array.dtype}, contiguous={array.flags.c_contiguous}; need contiguous float32"
                )
        self.direction = direction
        self._flat = {name: array.reshape(-1) for name, array in parameters.items()}
        self._settled = settled
        step = -(-SEGMENT // direction.chunk) * direction.chunk
        self._segments = [
            (name, first, min(first + step, flat.size))
            for name, flat in self._flat.items()
            for first in range(0, flat.size, step)
        ]
        self._queue: list[Move] = []
        small = self.size <= SEGMENT  # a thread's start would cost more than it saves
        self._pool = None if threads == 1 or small else ThreadPoolExecutor(threads, thread_name_prefix="weights")

    @property
    def size(self) -> int:
        """Number of weights that move."""
        return sum(flat.size for flat in self._flat.values())

    def move(self, moves: Iterable[Move]) -> None:
        """Queue w <- fl(w + amount z) for every weight, after everything queued before."""
        self._queue.extend(moves)
        if len(self._queue) > QUEUE:
            self.settle()

    def settle(self) -> None:
        """Carry out what is queued.  Whoever reads the weights calls this first."""
        if not self._queue:
            return
        operations = Operations.of(self._queue)
        self._queue.clear()
        if self._pool is None:
            for segment in self._segments:
                self._run(segment, operations)
        else:
            for done in [self._pool.submit(self._run, segment, operations) for segment in self._segments]:
                done.result()

    def _run(self, segment: tuple[str, int, int], operations: Operations) -> None:
        name, first, last = segment
        self.direction.apply(name, self._flat[name][first:last], first, operations)
        if self._settled is not None:
            self._settled(name, first, last)

    def replay(self, updates: Sequence[RoundUpdate], fused: int = 32) -> None:
        """Repeat whole rounds, probes included, `fused` rounds a pass: the same bits as having lived through them."""
        for start in range(0, len(updates), fused):
            for update in updates[start : start + fused]:
                self._queue.extend(update.operations())
            self.settle()


def digest(parameters: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 of names, shapes and little-endian fp32 bytes, in the order of names."""
    state = hashlib.sha256()
    for name in sorted(parameters):
        array = parameters[name]
        state.update(f"{name}{array.shape}".encode())
        state.update(np.ascontiguousarray(array, "<f4").tobytes())
    return state.hexdigest()
