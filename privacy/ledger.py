"""The privacy ledger of one data owner: what was transmitted about these examples, in all runs, and what still may be.

Rules. A charge is written and synced before anything is drawn or sent; it is never refunded, not even when the
round is lost; a transmission that would exceed the budget is refused. A slot charged twice (interrupted, then
repeated) was observed twice and costs twice.

`enforce=False` is for `privacy.reproducible`, where draws come from a public seed and the guarantee is void:
charges are recorded, nothing is refused, and a repeated slot, which repeats its draws, is recorded once. A ledger
with such records has no budget left to enforce.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

from privacy.accounting import Charge, epsilon, rounds_allowed
from privacy.record_log import Record, RecordLog, exact, from_exact
from radio.errors import BudgetError, InputError

_VERSION = 1


@dataclass(frozen=True)
class Owner:
    """Whose data: a name for messages and the digest that identifies the examples."""

    name: str
    data_digest: str


@dataclass(frozen=True)
class Budget:
    """Largest epsilon at delta, over all runs, for one example of the owner (add or remove one)."""

    epsilon: float
    delta: float


class Ledger:
    """Open ledger; holds the file's lock until closed.

    path     the file, outside the run folders; created on first use with `budget` as the owner's budget
    budget   what the run asks for; at most the owner's, and enforced if it is less
    enforce  False records only (see the module's text)

    Raises InputError if the file is another owner's, in use, damaged, or holds a smaller budget.
    """

    def __init__(self, path: str | os.PathLike[str], owner: Owner, budget: Budget, enforce: bool = True) -> None:
        epsilon([], budget.delta)  # explains an impossible delta before a file exists
        if not budget.epsilon > 0.0:
            raise InputError(f"privacy budget epsilon is {budget.epsilon!r}; allowed: above 0")
        self.owner = owner
        self.budget = budget
        self.enforce = enforce
        self._counts: dict[Charge, int] = {}
        self._slots: dict[str, dict[int, int]] = {}
        self._recorded_only = 0
        self._allowed: tuple[Charge, int] | None = None  # how often this kind of charge still fits
        self._log = RecordLog(path)
        self.path = self._log.path
        try:
            if self._log.found:
                self._check_header(self._log.found[0])
                for record in self._log.found[1:]:
                    self._remember(record)
            else:
                self._log.append(self._header())
        except BaseException:
            self._log.close()
            raise

    def charge(self, run_id: str, slot: int, charge: Charge) -> None:
        """Charge one round, durably, before its noise is drawn. A returned call is the permission to transmit once.

        Raises BudgetError (nothing is written) if the budget would be exceeded, InputError if the charge cannot be
        written.
        """
        if not self.enforce:
            if slot in self._slots.get(run_id, {}):
                return
        elif self._recorded_only:
            raise BudgetError(
                f"{self.path}: {self._recorded_only} rounds about the data of {self.owner.name} were sent with "
                "reproducible noise (privacy.reproducible), which protects nothing, so there is no budget left; "
                "use a ledger of its own for tests, and this data no more"
            )
        elif self.remaining(charge) < 1:
            raise BudgetError(self._refusal(charge))
        record: Record = {
            "kind": "charge" if self.enforce else "recorded-only",
            "run": run_id,
            "slot": slot,
            "sampling_rate": exact(charge.sampling_rate),
            "noise_multiplier": exact(charge.noise_multiplier),
        }
        self._log.append(record)
        self._remember(record)
        if self._allowed is not None:
            kind, left = self._allowed
            self._allowed = (kind, left - 1) if kind == charge and left > 1 else None

    def remaining(self, charge: Charge) -> int:
        """How many more rounds like this one the budget holds (counted up to a million).

        A second or so the first time, then kept until another kind is charged.
        """
        if self._allowed is None or self._allowed[0] != charge:
            left = rounds_allowed(charge, self.spent(), self.budget.epsilon, self.budget.delta)
            self._allowed = (charge, left)
        return self._allowed[1]

    def spent(self) -> list[tuple[Charge, int]]:
        """Everything ever charged, recorded-only included: each kind of charge with its count, ordered."""
        return sorted(self._counts.items())

    def epsilon(self) -> float:
        """Certified epsilon of everything spent, at the budget's delta. Some 0.1 s: not for every round of a loop."""
        return epsilon(self.spent(), self.budget.delta)

    def slots(self, run_id: str) -> dict[int, int]:
        """Slot -> how often it was charged, for one run."""
        return dict(sorted(self._slots.get(run_id, {}).items()))

    @property
    def void(self) -> bool:
        """True if some rounds were sent with reproducible noise: no guarantee can be given for this data."""
        return self._recorded_only > 0

    def close(self) -> None:
        self._log.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _header(self) -> Record:
        return {
            "kind": "ledger",
            "version": _VERSION,
            "owner": self.owner.name,
            "data": self.owner.data_digest,
            "unit": "example, add or remove one",
            "epsilon": exact(self.budget.epsilon),
            "delta": exact(self.budget.delta),
        }

    def _check_header(self, header: Record) -> None:
        if header.get("kind") != "ledger" or header.get("version") != _VERSION:
            raise InputError(
                f"{self.path} is not a privacy ledger of version {_VERSION}; give privacy.ledger another path"
            )
        if (header["owner"], header["data"]) != (self.owner.name, self.owner.data_digest):
            raise InputError(
                f"{self.path} is the ledger of {header['owner']} for data {header['data'][:16]}, "
                f"but the run uses {self.owner.name} with data {self.owner.data_digest[:16]}; "
                "every data set has a ledger of its own"
            )
        limit = Budget(from_exact(header["epsilon"]), from_exact(header["delta"]))
        if self.enforce and (self.budget.epsilon > limit.epsilon or self.budget.delta > limit.delta):
            raise InputError(
                f"{self.path} grants {self.owner.name} epsilon {limit.epsilon:g} at delta {limit.delta:g}, "
                f"but the run asks for epsilon {self.budget.epsilon:g} at delta {self.budget.delta:g}; "
                "lower privacy.epsilon and privacy.delta to what is granted"
            )

    def _remember(self, record: Record) -> None:
        if record.get("kind") not in ("charge", "recorded-only"):
            raise InputError(
                f"{self.path} has a record of unknown kind {record.get('kind')!r}; it was written by another version"
            )
        charge = Charge(from_exact(record["sampling_rate"]), from_exact(record["noise_multiplier"]))
        self._counts[charge] = self._counts.get(charge, 0) + 1
        slots = self._slots.setdefault(record["run"], {})
        slots[record["slot"]] = slots.get(record["slot"], 0) + 1
        self._recorded_only += record["kind"] == "recorded-only"

    def _refusal(self, charge: Charge) -> str:
        after = epsilon([*self.spent(), (charge, 1)], self.budget.delta)
        return (
            f"the privacy budget of {self.owner.name} is spent: epsilon {self.epsilon():.6g} of "
            f"{self.budget.epsilon:g} at delta {self.budget.delta:g} after {sum(self._counts.values())} rounds, "
            f"and one more (sampling rate {charge.sampling_rate:.6g}, noise multiplier {charge.noise_multiplier:.6g}) "
            f"would make it {after:.6g} ({self.path}). "
            "Nothing was transmitted. Use data that has budget left; a ledger is never reset"
        )


class PoolLedger(Ledger):
    """One ledger for several devices of one process whose examples are disjoint parts of one data set.

    An example is with one device only, so what a slot costs it is one charge, however many devices transmit (parallel
    composition).  Whichever device charges a slot first charges it for all.
    """

    _covered: tuple[str, int] | None = None

    def charge(self, run_id: str, slot: int, charge: Charge) -> None:
        if self._covered != (run_id, slot):
            super().charge(run_id, slot, charge)
            self._covered = (run_id, slot)
