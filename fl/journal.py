"""The journal of a run: one durable record a round, from which the weights can be replayed.  It is the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fl.update import Carried, Move, RoundUpdate
from privacy.record_log import Record, RecordLog, exact, from_exact, read_records
from privacy.slots import Slots
from radio.errors import InputError

NAME = "journal.jsonl"
FORMAT = 2


@dataclass
class History:
    """What a journal says has happened.  `updates` and `received` are all, or those since `forget`."""

    header: Record
    model: Record | None = None
    updates: list[RoundUpdate] = field(default_factory=list)  # in slot order, erased slots included
    received: list[tuple[list[float], float]] = field(default_factory=list)  # (mean, rate) of every committed round
    last: RoundUpdate | None = None  # the last committed one
    slots: Slots = field(default_factory=Slots)  # accounted for: committed, erased or burned
    committed: Slots = field(default_factory=Slots)  # those of them whose sum moved the weights
    rounds: int = 0  # committed
    erased: int = 0
    burned: int = 0
    resumed: int = 0
    evaluations: list[Record] = field(default_factory=list)
    stop: Record | None = None  # the last record, if the run was stopped in an orderly way

    def take(self, record: Record) -> None:
        kind = record["type"]
        self.stop = record if kind == "stop" else None
        if kind == "model":
            self.model = record
        elif kind == "round":
            self.last = _update(record, self.last)
            self.updates.append(self.last)
            self.received.append((record["mean"], record["rate"]))
            self.rounds += 1
            self.committed.add(record["slot"])
        elif kind == "erased":
            self.updates.append(_update(record, self.last))
            self.erased += 1
        elif kind == "burned":
            self.burned += 1
        elif kind == "evaluation":
            self.evaluations.append(record)
        elif kind == "resumed":
            self.resumed += 1
        elif kind != "stop":
            raise InputError(f"the journal has a record of unknown type {kind!r}; it was written by another version")
        if "slot" in record:
            self.slots.add(record["slot"])

    def forget(self) -> None:
        """Let go of what a process needs only to catch up: it would grow with every round."""
        self.updates.clear()
        self.received.clear()


def _update(record: Record, previous: RoundUpdate | None) -> RoundUpdate:
    """The update of a record, `previous` being the last committed one before it."""
    seed = int(record["seed"], 16)
    own = tuple(
        Move(seed if len(move) == 2 else int(move[2], 16), move[0], from_exact(move[1]))
        for move in record.get("moves", ())
    )
    carried = None
    if "carried" in record:
        if previous is None:
            raise InputError("the journal's first round carries on a round before it; it was altered")
        decay, rounds = record["carried"]
        carried = Carried(from_exact(decay), rounds, previous)
    return RoundUpdate(seed, from_exact(record["mu"]), record["perturbations"], record["probe"], own, carried)


def read_history(run: Path) -> History:
    """History of a run folder, without locking it.  Raises InputError if there is none or it is damaged."""
    path = run / NAME
    if not path.is_file():
        raise InputError(f"{run} is not a run folder: it has no {NAME}")
    return _history(read_records(path), path)


def _history(records: list[Record], path: Path) -> History:
    if not records or records[0].get("type") != "run" or records[0].get("format") != FORMAT:
        raise InputError(f"{path} is not a pairzero journal of format {FORMAT}")
    history = History(records[0])
    for record in records[1:]:
        history.take(record)
    return history


class Journal:
    """Open journal; holds the folder's writer lock until closed.  Every method returns once the record is on disk."""

    def __init__(self, run: Path, header: Mapping[str, Any] | None = None) -> None:
        """Open the journal of `run`, or begin it with `header` if there is none."""
        self._log = RecordLog(run / NAME)
        try:
            if not self._log.found:
                first = {"type": "run", "format": FORMAT, **(header or {})}
                self._log.append(first)
                self.history = History(first)
            else:
                self.history = _history(self._log.found, run / NAME)
        except BaseException:
            self._log.close()
            raise

    def _append(self, record: Record) -> None:
        self._log.append(record)
        self.history.take(record)

    def model(self, **facts: Any) -> None:
        self._append({"type": "model", **facts})

    def commit(
        self,
        slot: int,
        update: RoundUpdate,
        rate: float,
        mean: list[float],
        active: int,
        proposal: Mapping[str, Any] | None = None,
    ) -> None:
        """The round's own moves in full; what is carried on from earlier rounds as two numbers, for their records say the
        rest.  `update.carried`, if any, goes on from `history.last`.  `proposal` is what `Proposal.record` says."""
        record = {
            **(proposal or {}),
            "type": "round",
            "round": self.history.rounds + 1,
            "rate": rate,
            "mean": mean,
            "active": active,
            "moves": [
                [m.perturbation, exact(m.amount)] + ([] if m.seed == update.seed else [f"{m.seed:016x}"])
                for m in update.own
            ],
            **_common(slot, update),
        }
        if update.carried is not None:
            record["carried"] = [exact(update.carried.decay), update.carried.rounds]
        self._append(record)

    def erase(self, slot: int, update: RoundUpdate, reason: str, proposal: Mapping[str, Any] | None = None) -> None:
        self._append({"type": "erased", "reason": reason, **(proposal or {}), **_common(slot, update)})

    def burn(self, slot: int) -> None:
        """A slot that was charged before a crash and never committed."""
        self._append({"type": "burned", "slot": slot})

    def resume(self) -> None:
        self._append({"type": "resumed"})

    def evaluation(self, loss: float, accuracy: float, examples: int, final: bool, f1: float | None = None) -> None:
        """`f1` where answers are written."""
        record = {"loss": loss, "accuracy": accuracy, "examples": examples, "final": final}
        record |= {} if f1 is None else {"f1": f1}
        self._append({"type": "evaluation", "round": self.history.rounds, **record})

    def stop(self, reason: str, digest: str) -> None:
        self._append({"type": "stop", "reason": reason, "digest": digest})

    def close(self) -> None:
        self._log.close()


def _common(slot: int, update: RoundUpdate) -> Record:
    return {
        "slot": slot,
        "seed": f"{update.seed:016x}",
        "mu": exact(update.mu),
        "probe": update.probe,
        "perturbations": update.perturbations,
    }
