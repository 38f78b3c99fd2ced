"""The promise of the ledger over random runs: whatever was ever permitted certifies at most the budget, for good.

A power cut is played on the file itself: what `charge` returned from stays, and of the record in flight any part is left,
none of it, some of it, followed by zeros or not, or all of it without the permission having been given.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from privacy import record_log
from privacy.accounting import Charge, epsilon, gaussian_delta
from privacy.ledger import Budget, Ledger, Owner
from privacy.record_log import encode, exact
from radio.errors import BudgetError, InputError

OWNER = Owner("device-0", "d" * 64)
BUDGET = Budget(2.0, 1e-5)
STRICT = Budget(0.7, 1e-5)


class Runs(RuleBasedStateMachine):
    """Runs, one after the other, on one ledger. Without sampling: exact and fast."""

    kinds = (Charge(1.0, 3.0), Charge(1.0, 6.0), Charge(1.0, 6.5), Charge(1.0, 11.0), Charge(1.0, 40.0))
    kind = st.integers(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "ledger"
        self.granted: Counter[Charge] = Counter()
        self.unsaid = 0  # charges that a crash left in the file though nobody was told
        self.slot = 0
        self.highest = 0.0

    @initialize()
    def first_run(self) -> None:
        self.open(BUDGET)

    def open(self, budget: Budget) -> None:
        self.budget = budget
        self.ledger = Ledger(self.path, OWNER, budget)

    def certified(self, charges: Counter[Charge]) -> float:
        """Sum of mu^2, which the machine compares with the budget by delta at epsilon, not by the ledger's own figures."""
        return sum(n / c.noise_multiplier**2 for c, n in charges.items())

    def within(self, charges: Counter[Charge], budget: Budget) -> bool:
        return gaussian_delta(max(1e-9, self.certified(charges)) ** 0.5, budget.epsilon) <= budget.delta

    def send(self, kind: int, repeat: bool = False) -> bool:
        """Charge; if permitted, transmit. The slot is the last one's again where that was lost on the air."""
        charge = self.kinds[kind]
        self.slot += not repeat
        told = self.ledger.would_exceed(charge)
        try:
            self.ledger.charge("run", self.slot, charge)
        except BudgetError:
            assert told
            assert not self.within(Counter(dict(self.ledger.spent())) + Counter([charge]), self.budget)
            return False
        assert not told
        self.granted[charge] += 1
        return True

    @rule(kind=kind, times=st.integers(1, 6))
    def rounds(self, kind: int, times: int) -> None:
        for _ in range(times):
            if self.send(kind):
                assert self.within(Counter(dict(self.ledger.spent())), self.budget)

    @rule(kind=kind)
    def round_lost_on_the_air_and_repeated(self, kind: int) -> None:
        before = sum(self.granted.values())
        sent = self.send(kind) + self.send(kind, repeat=True)
        assert sum(self.granted.values()) == before + sent  # never refunded

    @rule(planned=st.lists(st.tuples(kind, st.integers(1, 4)), max_size=4), order=st.randoms(use_true_random=False))
    def schedule(self, planned: list[tuple[int, int]], order: object) -> None:
        charges = [(self.kinds[kind], count) for kind, count in planned]
        if self.ledger.allows(charges):
            slots = [kind for kind, count in planned for _ in range(count)]
            order.shuffle(slots)  # type: ignore[attr-defined]
            assert all(self.send(min(4, kind + (i % 3 == 2))) for i, kind in enumerate(slots))  # some with more noise

    @rule(kind=kind, at_least=st.sampled_from([1, 5]))
    def ask(self, kind: int, at_least: int) -> None:
        left, charge = self.ledger.remaining(self.kinds[kind], at_least), self.kinds[kind]
        spent = Counter(dict(self.ledger.spent()))
        if left:
            assert self.within(spent + Counter({charge: left}), self.budget)
        if left < at_least:
            assert not self.within(spent + Counter({charge: left + 1}), self.budget)

    @rule(strict=st.booleans())
    def next_run(self, strict: bool) -> None:
        self.ledger.close()
        self.open(STRICT if strict else BUDGET)

    @rule(kind=kind, share=st.floats(0.0, 1.0), zeros=st.integers(0, 3))
    def power_cut(self, kind: int, share: float, zeros: int) -> None:
        os.close(self.ledger._log._file)
        self.ledger._log._file = -1  # the process is gone; nothing of it runs any more
        charge = self.kinds[kind]
        if not self.ledger.would_exceed(charge):
            line = encode(
                {
                    "kind": "charge",
                    "run": "run",
                    "slot": self.slot + 1,
                    "sampling_rate": exact(charge.sampling_rate),
                    "noise_multiplier": exact(charge.noise_multiplier),
                }
            )
            left = line[: round(share * len(line))]
            self.unsaid += left == line
            with self.path.open("ab") as file:
                file.write(left + (b"\0" * zeros if left != line else b""))
        self.open(BUDGET)

    @rule()
    def a_second_run_at_the_same_time_is_refused(self) -> None:
        with pytest.raises(InputError, match="in use"):
            Ledger(self.path, OWNER, BUDGET)

    @rule()
    def a_larger_budget_is_refused(self) -> None:
        self.ledger.close()
        with pytest.raises(InputError, match="grants device-0 epsilon 2 "):
            Ledger(self.path, OWNER, Budget(2.1, 1e-5))
        self.open(self.budget)

    @invariant()
    def nothing_permitted_is_forgotten_and_the_budget_holds(self) -> None:
        spent = Counter(dict(self.ledger.spent()))
        assert self.granted <= spent
        assert sum(spent.values()) == sum(self.granted.values()) + self.unsaid
        assert self.within(spent, BUDGET)
        here = self.certified(spent)
        assert here >= self.highest
        self.highest = here

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)


class SampledRuns(Runs):
    """The same with sampling, certified by loss distributions: fewer runs."""

    kinds = (Charge(0.3, 2.0), Charge(0.3, 3.0), Charge(0.1, 2.0), Charge(1.0, 9.0), Charge(0.3, 2.0))

    def certified(self, charges: Counter[Charge]) -> float:
        return epsilon(list(charges.items()), BUDGET.delta)

    def within(self, charges: Counter[Charge], budget: Budget) -> bool:
        # Refusals are allowed a hair below the budget: the headroom for the rounding of the FFTs.
        return self.certified(charges) <= budget.epsilon * (1.0 - 1e-7) or (
            self.certified(charges) <= budget.epsilon and charges == Counter(dict(self.ledger.spent()))
        )

    @rule()
    def schedule(self) -> None:  # type: ignore[override]
        if self.ledger.allows([(self.kinds[0], 2), (self.kinds[2], 3)]):
            assert all(self.send(kind) for kind in (2, 0, 2, 1, 2))


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_log, "_sync", lambda file: None)  # the power cuts are played
    monkeypatch.setattr(record_log, "_sync_folder", lambda folder: None)


def test_a_thousand_random_runs_never_overspend() -> None:
    run_state_machine_as_test(
        Runs, settings=settings(max_examples=1000, stateful_step_count=10, deadline=None, derandomize=True)
    )


def test_random_runs_with_sampling_never_overspend() -> None:
    run_state_machine_as_test(
        SampledRuns, settings=settings(max_examples=5, stateful_step_count=5, deadline=None, derandomize=True)
    )
