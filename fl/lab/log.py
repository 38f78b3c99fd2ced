"""The log of a run as it goes over the wire: every slot's update in order, committed or erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fl.journal import History
from fl.lab.messages import Round
from fl.update import Carried, Move, RoundUpdate


class Log:
    """Entries so far.  A device's is a prefix of the server's, and says all about its weights."""

    def __init__(self) -> None:
        self.updates: list[RoundUpdate] = []
        self._slots: list[int] = []
        self._committed: list[bool] = []
        self._last: RoundUpdate | None = None

    @classmethod
    def of(cls, history: History, records: Sequence[dict[str, Any]]) -> Log:
        """The log of a journal: its history and the records it came from."""
        log = cls()
        moved = (r for r in records if r["type"] in ("round", "erased"))
        for update, record in zip(history.updates, moved, strict=True):
            log.add(record["slot"], update, record["type"] == "round")
        return log

    def __len__(self) -> int:
        return len(self.updates)

    def add(self, slot: int, update: RoundUpdate, committed: bool) -> None:
        self.updates.append(update)
        self._slots.append(slot)
        self._committed.append(committed)
        if committed:
            self._last = update

    def round(self, position: int) -> Round:
        """An entry for the wire."""
        update, carried = self.updates[position], self.updates[position].carried
        return Round(
            position,
            self._slots[position],
            update.seed,
            update.mu,
            update.perturbations,
            update.probe,
            self._committed[position],
            tuple((m.seed, m.perturbation, m.amount) for m in update.own),
            None if carried is None else (carried.decay, carried.rounds),
        )

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
        self.add(entry.slot, update, entry.committed)
        return update
