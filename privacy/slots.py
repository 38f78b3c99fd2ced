"""Which slots something has happened in, and how often, in memory that does not grow while they come in turn."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple


class _Run(NamedTuple):
    """Slots [first, stop), each `times` times."""

    first: int
    stop: int
    times: int


class Slots(Set[int]):
    """The set of slots that were added at least once; what set operations make of it is an ordinary set."""

    def __init__(self, slots: Iterable[int] = ()) -> None:
        self._runs: list[_Run] = []  # in order, none of them empty, none that could be one with the next
        for slot in slots:
            self.add(slot)

    @classmethod
    def _from_iterable(cls, slots: Iterable[int]) -> set[int]:  # type: ignore[override]
        return set(slots)

    def add(self, slot: int) -> None:
        """Once more."""
        runs = self._runs
        if runs and runs[-1].stop == slot and runs[-1].times == 1:
            runs[-1] = _Run(runs[-1].first, slot + 1, 1)
            return
        at = self._after(slot)
        if at and slot < runs[at - 1].stop:
            at, (first, stop, times) = at - 1, runs[at - 1]
            parts = [_Run(first, slot, times), _Run(slot, slot + 1, times + 1), _Run(slot + 1, stop, times)]
            runs[at : at + 1] = [part for part in parts if part.first < part.stop]
        else:
            runs.insert(at, _Run(slot, slot + 1, 1))
        for left in range(min(at + 2, len(runs) - 1) - 1, max(at - 1, 0) - 1, -1):
            one, other = runs[left], runs[left + 1]
            if one.stop == other.first and one.times == other.times:
                runs[left : left + 2] = [_Run(one.first, other.stop, one.times)]

    def times(self, slot: int) -> int:
        at = self._after(slot)
        return self._runs[at - 1].times if at and slot < self._runs[at - 1].stop else 0

    @property
    def last(self) -> int:
        """The latest slot, -1 for none."""
        return self._runs[-1].stop - 1 if self._runs else -1

    @property
    def total(self) -> int:
        """How often anything was added."""
        return sum((run.stop - run.first) * run.times for run in self._runs)

    def items(self) -> Iterator[tuple[int, int]]:
        """(slot, how often) in order."""
        return ((slot, run.times) for run in self._runs for slot in range(run.first, run.stop))

    def __contains__(self, slot: object) -> bool:
        return isinstance(slot, int) and self.times(slot) > 0

    def __iter__(self) -> Iterator[int]:
        return (slot for slot, _ in self.items())

    def __len__(self) -> int:
        return sum(run.stop - run.first for run in self._runs)

    def __repr__(self) -> str:
        return f"Slots({dict(self.items())})"

    def _after(self, slot: int) -> int:
        """The first run that begins after the slot."""
        return bisect_right(self._runs, slot, key=lambda run: run.first)
