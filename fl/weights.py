"""The trained weights as a log of exactly rounded moves (design decision 4).

Moves are queued and carried out, in order and in one pass over memory, when somebody needs the weights: restoring after a
probe, the step, and going to the next round's first point are one pass, and so are many rounds of a replay.  That merges
passes without changing a bit, because a weight sees the same roundings in the same order either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fl.directions.direction import Direction, Operations, Values, as_array
from fl.table import Table
from fl.team import Team
from fl.update import Move, RoundUpdate

SMALL = 1 << 18  # elements below which a thread's start would cost more than it saves
CACHED = 1 << 17  # elements that fit a core's cache with room to spare
QUEUE = 4096  # moves that are held back at most
JOBS = 4  # a thread: few enough to cost nothing, and a late core does not hold up the rest

Settled = Callable[[str, int, int], None]  # (parameter, first, last) have new values


class _Due(NamedTuple):
    """A part of a parameter, [first, last), and what it lacks."""

    parameter: str
    first: int
    last: int
    operations: Operations


class Weights:
    """In-place arithmetic on a set of named fp32 parameters.

    parameters  names to contiguous fp32 arrays that share memory with the model; tensors where they are on another device, and
                then a direction that moves tensors
    direction   what z is
    threads     more of them change the time and nothing else
    tables      names of two-dimensional parameters of which only some rows are read at a time; where they are tensors, they move
                as the others do: many small passes are what an accelerator is slow at
    settled     called with every range that has moved, by the thread that moved it, while it is in cache
    """

    def __init__(
        self,
        parameters: Mapping[str, Values],
        direction: Direction,
        threads: int = 1,
        tables: Iterable[str] = (),
        settled: Settled | None = None,
    ) -> None:
        self._arrays = {name for name, values in parameters.items() if isinstance(values, np.ndarray)}
        for name, values in parameters.items():
            contiguous = values.flags.c_contiguous if name in self._arrays else values.is_contiguous()
            if not str(values.dtype).endswith("float32") or not contiguous:
                raise ValueError(f"{name}: {values.dtype}, contiguous={contiguous}; need contiguous float32")
        self.direction = direction
        self._flat = {name: values.reshape(-1) for name, values in parameters.items()}
        self._settled = settled
        self._tables = {
            name: Table(len(parameters[name]), parameters[name].size // len(parameters[name]), direction.chunk)
            for name in tables
            if name in self._arrays and parameters[name].size > 64 * direction.chunk
        }
        self._queue: list[Move] = []
        self._team = Team(threads)

    @property
    def size(self) -> int:
        """Number of weights that move."""
        return sum(self.direction.moved(name, len(flat)) for name, flat in self._flat.items())

    def move(self, moves: Iterable[Move]) -> None:
        """Queue w <- fl(w + amount z) for every weight, after everything queued before."""
        self._queue.extend(moves)
        if len(self._queue) > QUEUE:
            self.settle()

    def settle(self, rows: Mapping[str, NDArray[np.int64]] | None = None) -> None:
        """Carry out what is queued.  Whoever reads the weights calls this first.

        rows   of the tables, only these rows are going to be read (by default everything)
        """
        if self._queue:
            operations = Operations.of(self._queue)
            due = [
                _Due(name, 0, len(flat), operations) for name, flat in self._flat.items() if name not in self._tables
            ]
            for table in self._tables.values():
                table.extend(self._queue)
            self._queue = []
        else:
            due = []
        whole = []
        for name, table in self._tables.items():
            wanted = None if rows is None or table.full else rows.get(name)
            parts = table.due(wanted)
            missing = {seen: Operations.of(table.log[seen:]) for seen in {seen for _, _, seen in parts}}
            due += [_Due(name, first, last, missing[seen]) for first, last, seen in parts]
            if wanted is None:
                whole.append(table)
        self._carry_out(due)
        for table in whole:
            table.clear()

    def _carry_out(self, due: list[_Due]) -> None:
        # Backwards: a forward pass ends with the last weights and begins with the first, so those are in cache.
        due = due[::-1]
        if len(self._arrays) < len(self._flat):  # an accelerator is told first, and works by itself
            self._run([d for d in due if d.parameter not in self._arrays])
            due = [d for d in due if d.parameter in self._arrays]
        work = sum((d.last - d.first) * len(d.operations) for d in due)
        if self._team.threads == 1 or work < SMALL:
            self._run(due)
        else:
            shares = _shares(due, work / (JOBS * self._team.threads), self.direction.chunk)
            self._team.run([partial(self._run, share) for share in shares])

    def _run(self, due: Sequence[_Due]) -> None:
        for name, first, last, operations in due:
            # whoever wants to know of a part of an array wants it while it is in cache
            whole = self._settled is None or name not in self._arrays
            step = last - first if whole else max(1, CACHED // self.direction.chunk) * self.direction.chunk
            for start in range(first, last, step):
                stop = min(start + step, last)
                self.direction.apply(name, self._flat[name][start:stop], start, operations)
                if self._settled is not None:
                    self._settled(name, start, stop)

    def snapshot(self) -> Mapping[str, Values]:
        """A copy of the trained weights, as large as they are and where they are: for `restore`."""
        self.settle()
        return {name: flat.copy() if name in self._arrays else flat.clone() for name, flat in self._flat.items()}

    def restore(self, snapshot: Mapping[str, Values]) -> None:
        """The weights as they were at the snapshot, bit for bit; what is still to be carried out is forgotten."""
        self._queue = []
        for table in self._tables.values():
            table.clear()
        for name, flat in self._flat.items():
            flat[:] = snapshot[name]
            if self._settled is not None:
                self._settled(name, 0, len(flat))

    def replay(self, updates: Sequence[RoundUpdate], fused: int = 32) -> None:
        """Repeat whole rounds, probes included, `fused` rounds a pass: the same bits as having lived through them."""
        for start in range(0, len(updates), fused):
            for update in updates[start : start + fused]:
                self._queue.extend(update.operations())
            self.settle()


def _shares(due: Iterable[_Due], work: float, chunk: int) -> list[list[_Due]]:
    """The same parts in lists of about `work` (elements times moves) each, cut at multiples of the chunk where needed."""
    shares: list[list[_Due]] = [[]]
    left = work
    for name, first, last, operations in due:
        while first < last:
            if left <= 0:
                shares.append([])
                left = work
            room = max(1, int(left / len(operations) / chunk)) * chunk
            cut = min(last, first + room)
            shares[-1].append(_Due(name, first, cut, operations))
            left -= (cut - first) * len(operations)
            first = cut
    return shares


def parameter_digest(values: Values) -> str:
    """SHA-256 of one parameter's shape and little-endian fp32 bytes."""
    array = as_array(values)
    state = hashlib.sha256(f"{array.shape}".encode())
    state.update(np.ascontiguousarray(array, "<f4").data)
    return state.hexdigest()


def digest(parameters: Mapping[str, Values], known: Mapping[str, str] | None = None) -> str:
    """SHA-256 of all names and parameter digests, in the order of names.  What is on another device is read back one parameter
    at a time.

    known   digests of further parameters, which have not changed since they were taken
    """
    each = {**(known or {}), **{name: parameter_digest(values) for name, values in parameters.items()}}
    return hashlib.sha256("".join(f"{name} {each[name]}\n" for name in sorted(each)).encode()).hexdigest()
