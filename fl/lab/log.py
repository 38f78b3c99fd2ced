"""The log of a run as it goes over the wire: every slot's update in order, committed or erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fl.journal import History
from fl.lab.messages import Round
from fl.update import Carried, Move, RoundUpdate

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Round).decode


class Log:
    """Entries so far, held as they go over the wire, in a tenth of the memory.  A device's is a prefix of the server's, and
    says all about its weights."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []
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
        return len(self._entries)

    @property
    def updates(self) -> list[RoundUpdate]:
        """All of them, made anew: for a replay."""
        again = Log()
        return [again.take(self.round(position)) for position in range(len(self))]

    def add(self, slot: int, update: RoundUpdate, committed: bool) -> None:
        carried = None if update.carried is None else (update.carried.decay, update.carried.rounds)
        moves = tuple((m.seed, m.perturbation, m.amount) for m in update.own)
        entry = Round(
            len(self), slot, update.seed, update.mu, update.perturbations, update.probe, committed, moves, carried
        )
        self._entries.append(_encode(entry))
        if committed:
            self._last = update

    def round(self, position: int) -> Round:
        """An entry for the wire."""
        return _decode(self._entries[position])

    def take(self, entry: Round) -> RoundUpdate:
        """Add the next entry off the wire.  Raises ValueError if it is not the next."""
        if entry.position != len(self):
            raise ValueError(f"entry {entry.position} after {len(self)} entries")
        carried = None
        if entry.carried is not None:
            if self._last is None:
                raise ValueError("the first committed round carries on a round before it")
            carried = Carried(*entry.carried, self._last)
        own = tuple(Move(*move) for move in entry.moves)
        update = RoundUpdate(entry.seed, entry.mu, entry.perturbations, entry.probe, own, carried)
        self._entries.append(_encode(entry))
        if entry.committed:
            self._last = update
        return update
