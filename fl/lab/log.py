"""The log of a run as it goes over the wire: every slot's update in order, committed or erased."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from fl.journal import History
from fl.lab.messages import Round
from fl.update import Carried, Move, RoundUpdate
from radio.errors import InputError

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Round).decode

STRIDE = 256  # entries between two places that are remembered
LENGTH = 4  # bytes that say how long an entry is


class Log:
    """Entries so far, held as they go over the wire in a temporary file that ends with the process: the journal is the copy
    that counts.  A device's is a prefix of the server's, and says all about its weights.

    Raises InputError where there is no room for an entry.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pairzero-", buffering=0)  # noqa: SIM115 - as long as the log is
        self._places: list[int] = []  # in the file, of every STRIDE-th entry
        self._entries = self._bytes = 0
        self._last: RoundUpdate | None = None  # committed

    @classmethod
    def of(cls, history: History, records: Sequence[dict[str, Any]]) -> Log:
        """The log of a journal: its history and the records it came from."""
        log = cls()
        moved = (r for r in records if r["type"] in ("round", "erased"))
        for update, record in zip(history.updates, moved, strict=True):
            log.add(record["slot"], update, record["type"] == "round")
        return log

    def __len__(self) -> int:
        return self._entries

    @property
    def updates(self) -> list[RoundUpdate]:
        """All of them, made anew: for a replay."""
        updates: list[RoundUpdate] = []
        last = None
        for entry in self.rounds(0, len(self)):
            updates.append(_update(entry, last))
            last = updates[-1] if entry.committed else last
        return updates

    def add(self, slot: int, update: RoundUpdate, committed: bool) -> Round:
        """What to put on the wire."""
        carried = None if update.carried is None else (update.carried.decay, update.carried.rounds)
        moves = tuple((m.seed, m.perturbation, m.amount) for m in update.own)
        entry = Round(
            len(self), slot, update.seed, update.mu, update.perturbations, update.probe, committed, moves, carried
        )
        self._append(entry, update)
        return entry

    def take(self, entry: Round) -> RoundUpdate:
        """Add the next entry off the wire.  Raises ValueError if it is not the next."""
        if entry.position != len(self):
            raise ValueError(f"entry {entry.position} after {len(self)} entries")
        update = _update(entry, self._last)
        self._append(entry, update)
        return update

    def rounds(self, first: int, stop: int) -> list[Round]:
        """Entries [first, stop) for the wire."""
        return list(self._read(first, stop))

    def _append(self, entry: Round, update: RoundUpdate) -> None:
        line = _encode(entry)
        line = len(line).to_bytes(LENGTH, "little") + line
        try:
            written = os.pwrite(self._file.fileno(), line, self._bytes)
            if written < len(line):  # the disk is nearly full, and the next write says why
                os.pwrite(self._file.fileno(), line[written:], self._bytes + written)
        except OSError as problem:
            raise InputError(
                f"cannot keep the run's log in {tempfile.gettempdir()}: {problem.strerror}; free some space there, or set "
                "TMPDIR to another folder, and start again"
            ) from None
        if self._entries % STRIDE == 0:
            self._places.append(self._bytes)
        self._entries, self._bytes = self._entries + 1, self._bytes + len(line)
        if entry.committed:
            self._last = update

    def _read(self, first: int, stop: int) -> Iterator[Round]:
        if not 0 <= first <= stop <= len(self):
            raise IndexError(f"entries {first} to {stop} of {len(self)}")
        for stride in range(first // STRIDE, -(-stop // STRIDE)):
            ends = [*self._places[stride + 1 : stride + 2], self._bytes]
            data = memoryview(os.pread(self._file.fileno(), ends[0] - self._places[stride], self._places[stride]))
            for position in range(stride * STRIDE, min(stop, (stride + 1) * STRIDE)):
                end = LENGTH + int.from_bytes(data[:LENGTH], "little")
                if position >= first:
                    yield _decode(data[LENGTH:end])
                data = data[end:]


def _update(entry: Round, last: RoundUpdate | None) -> RoundUpdate:
    """The update of an entry, `last` being the last committed one before it."""
    carried = None
    if entry.carried is not None:
        if last is None:
            raise ValueError("the first committed round carries on a round before it")
        carried = Carried(*entry.carried, last)
    own = tuple(Move(*move) for move in entry.moves)
    return RoundUpdate(entry.seed, entry.mu, entry.perturbations, entry.probe, own, carried)
