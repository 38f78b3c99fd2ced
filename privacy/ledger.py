"""The privacy ledger of one data owner: what was transmitted about these examples, in all runs, and what still may be.

Rules. A charge is written and synced before anything is drawn or sent; it is never refunded, not even when the
round is lost; a transmission that would exceed the budget is refused. A slot charged twice (interrupted, then
repeated) was observed twice and costs twice.

Whether a charge still fits takes a composition of everything spent, seconds when there are many kinds of charges. So the
ledger keeps a permit: charges already certified to fit together with what is spent. A charge that costs no more than a
permitted one uses it up instead; only one that none covers, or an empty permit, is certified anew. `allows` certifies a
whole schedule at once.

`enforce=False` is for `privacy.reproducible`, where draws come from a public seed and the guarantee is void:
charges are recorded, nothing is refused, and a repeated slot, which repeats its draws, is recorded once. A ledger
with such records has no budget left to enforce.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

from privacy.accounting import Charge, Spent, epsilon, fits, rounds_allowed
from privacy.record_log import Record, RecordLog, exact, from_exact
from privacy.slots import Slots
from privacy.unit import EXAMPLE, Unit
from radio.errors import BudgetError, InputError

_VERSION = 2  # 1 had no threat, which was always the devices' own noise, and only the unit `example`
_OWN_NOISE = "own-noise"


@dataclass(frozen=True)
class Owner:
    """Whose data: a name for messages and the digest that identifies the examples."""

    name: str
    data_digest: str


@dataclass(frozen=True)
class Budget:
    """Largest epsilon at delta, over all runs, for one unit of the owner's data."""

    epsilon: float
    delta: float


class Ledger:
    """Open ledger; holds the file's lock until closed.

    path     the file, outside the run folders; created on first use with `budget` as the owner's budget
    budget   what the run asks for; at most the owner's, and enforced if it is less
    enforce  False records only (see the module's text)
    unit     what the budget protects
    threat   name of the threat whose noise the multipliers count
    floor    the device's own least noise multiplier: a charge below it is refused, whatever the budget would allow

    Raises InputError if the file is another owner's, counts in another unit or for another threat, is in use, damaged, or
    holds a smaller budget.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        owner: Owner,
        budget: Budget,
        enforce: bool = True,
        *,
        unit: Unit = EXAMPLE,
        threat: str = _OWN_NOISE,
        floor: float = 0.0,
    ) -> None:
        epsilon([], budget.delta)  # explains an impossible delta before a file exists
        if not budget.epsilon > 0.0:
            raise InputError(f"privacy budget epsilon is {budget.epsilon!r}; allowed: above 0")
        if not floor >= 0.0:
            raise InputError(f"a device's least noise multiplier is {floor!r}; allowed: 0 or more")
        self.owner = owner
        self.budget = budget
        self.enforce = enforce
        self.unit = unit
        self.threat = threat
        self.floor = floor
        self._counts: dict[Charge, int] = {}
        self._slots: dict[str, Slots] = {}
        self._recorded_only = 0
        self._permit: dict[Charge, int] = {}  # fits together with all that is spent, and is not used up
        self._dearest: Charge | None = None  # costs no less than anything charged through this object
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

    def charge(self, run_id: str, slot: int, charge: Charge, in_order: bool = False) -> None:
        """Charge one round, durably, before its noise is drawn. A returned call is the permission to transmit once.

        in_order  refuse a slot that is not later than all that the run was charged for: the certificate of a schedule whose
                  noise varies is for each of its slots once and in its order, not for any that somebody may pick

        Raises BudgetError (nothing is written) if the budget would be exceeded or the slot is refused, InputError if the
        charge cannot be written.
        """
        if not self.enforce:
            if slot in self._slots.get(run_id, ()):
                return
        elif self._recorded_only:
            raise BudgetError(
                f"{self.path}: {self._recorded_only} rounds about the data of {self.owner.name} were sent with "
                "reproducible noise (privacy.reproducible), which protects nothing, so there is no budget left; "
                "use a ledger of its own for tests, and this data no more"
            )
        elif charge.noise_multiplier < self.floor:
            raise BudgetError(
                f"a noise multiplier of {charge.noise_multiplier:.6g} was asked of {self.owner.name}, whose own least is "
                f"{self.floor:.6g}. Nothing was transmitted. Propose more noise"
            )
        elif in_order and slot <= self.last_slot(run_id):
            raise BudgetError(
                f"slot {slot} of run {run_id} was asked for after a later one, or again; its noise was fixed ahead for one "
                "transmission in its turn. Nothing was transmitted"
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
        if self.enforce:
            self._use_permit(charge)
            self._dearest = _dearer(charge, self._dearest)

    def would_exceed(self, charge: Charge, rounds: int = 1) -> bool:
        """True if `charge` would refuse one of `rounds` more rounds like this one. As cheap as `remaining`."""
        if not self.enforce:
            return False
        return self.void or self.remaining(charge, rounds) < rounds

    def remaining(self, charge: Charge, at_least: int = 1) -> int:
        """How many more rounds like this one the budget holds (counted up to a million).

        Never too many; exact if below `at_least`, and if only this kind was charged since opening. A look-up while a permit
        covers `at_least` rounds, else a second or so for few kinds of charges.
        """
        if charge.noise_multiplier < self.floor:
            return 0
        left = sum(count for kind, count in self._permit.items() if kind.covers(charge))
        return left if left >= at_least else self._renew(charge, at_least)

    def allows(self, planned: Spent) -> bool:
        """Whether all of `planned` fits, each charge with its count; then its charges, and any that cost no more, are
        made from this certificate. Some seconds for a schedule of 40 kinds, once."""
        if not self.enforce:
            return True
        if self.void or any(charge.noise_multiplier < self.floor for charge, _ in planned):
            return False
        if not fits([*self.spent(), *planned], self.budget.epsilon, self.budget.delta):
            return False
        self._permit = {}
        for charge, count in planned:
            self._permit[charge] = self._permit.get(charge, 0) + count
        return True

    def spent(self) -> list[tuple[Charge, int]]:
        """Everything ever charged, recorded-only included: each kind of charge with its count, ordered."""
        return sorted(self._counts.items())

    def epsilon(self) -> float:
        """Certified epsilon of everything spent, at the budget's delta. Some 0.1 s: not for every round of a loop."""
        return epsilon(self.spent(), self.budget.delta)

    def slots(self, run_id: str) -> dict[int, int]:
        """Slot -> how often it was charged, for one run."""
        return dict(self._slots[run_id].items()) if run_id in self._slots else {}

    def last_slot(self, run_id: str) -> int:
        """The latest slot that one run was charged for, -1 for none."""
        return self._slots[run_id].last if run_id in self._slots else -1

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
            "unit": str(self.unit),
            "threat": self.threat,
            "epsilon": exact(self.budget.epsilon),
            "delta": exact(self.budget.delta),
        }

    def _check_header(self, header: Record) -> None:
        if header.get("kind") != "ledger" or header.get("version") not in (1, _VERSION):
            raise InputError(
                f"{self.path} is not a privacy ledger of version 1 or {_VERSION}; give privacy.ledger another path"
            )
        if (header["owner"], header["data"]) != (self.owner.name, self.owner.data_digest):
            raise InputError(
                f"{self.path} is the ledger of {header['owner']} for data {header['data'][:16]}, "
                f"but the run uses {self.owner.name} with data {self.owner.data_digest[:16]}; "
                "every data set has a ledger of its own"
            )
        counts = (header["unit"], header.get("threat", _OWN_NOISE))
        if counts != (str(self.unit), self.threat):
            raise InputError(
                f"{self.path} counts what {self.owner.name} has spent in the unit '{counts[0]}' against the threat "
                f"{counts[1]}, but the run asks for '{self.unit}' against {self.threat}; such charges do not add up. Set "
                "privacy.unit and privacy.threat, and what deals the examples out (run.seed, learning.devices, task) where "
                "devices are the unit, as they were, or use other data"
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
        self._slots.setdefault(record["run"], Slots()).add(record["slot"])
        self._recorded_only += record["kind"] == "recorded-only"

    def _use_permit(self, charge: Charge) -> None:
        """Take the cheapest permitted charge that covers this one."""
        covering = [kind for kind in self._permit if kind.covers(charge)]
        kind = max(covering, key=lambda kind: (kind.noise_multiplier, -kind.sampling_rate))
        self._permit[kind] -= 1
        if self._permit[kind] == 0:
            del self._permit[kind]

    def _renew(self, charge: Charge, at_least: int) -> int:
        """How many of `charge` fit, by a permit for the dearest kind charged so far or, where that has too few, for just
        this kind."""
        budget, spent = self.budget, self.spent()
        kinds = [_dearer(charge, self._dearest), charge]
        left = 0
        for kind in dict.fromkeys(kinds):
            left = rounds_allowed(kind, spent, budget.epsilon, budget.delta)
            if left >= at_least:
                break
        if left > 0:
            self._permit = {kind: left}
        return left

    def _refusal(self, charge: Charge) -> str:
        after = epsilon([*self.spent(), (charge, 1)], self.budget.delta)
        return (
            f"the privacy budget of {self.owner.name} is spent: epsilon {self.epsilon():.6g} of "
            f"{self.budget.epsilon:g} at delta {self.budget.delta:g} after {sum(self._counts.values())} rounds, "
            f"and one more (sampling rate {charge.sampling_rate:.6g}, noise multiplier {charge.noise_multiplier:.6g}) "
            f"would make it {after:.6g} ({self.path}). "
            "Nothing was transmitted. Use data that has budget left; a ledger is never reset"
        )


def _dearer(charge: Charge, other: Charge | None) -> Charge:
    """A charge that costs no less than either; just `charge` where the two cannot cover each other."""
    if other is None or (charge.sampling_rate == 1.0) != (other.sampling_rate == 1.0):
        return charge
    rate = max(charge.sampling_rate, other.sampling_rate)
    return Charge(rate, min(charge.noise_multiplier, other.noise_multiplier))


class PoolLedger(Ledger):
    """One ledger for several devices of one process whose examples are disjoint parts of one data set.

    An example is with one device only, so what a slot costs it is one charge, however many devices transmit (parallel
    composition).  Whichever device charges a slot first charges it for all whose charges cost no more.
    """

    _covered: tuple[str, int, Charge] | None = None

    def charge(self, run_id: str, slot: int, charge: Charge, in_order: bool = False) -> None:
        if self._covered is not None and self._covered[:2] == (run_id, slot) and self._covered[2].covers(charge):
            return
        super().charge(run_id, slot, charge, in_order)
        self._covered = (run_id, slot, charge)
