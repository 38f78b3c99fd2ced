from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from privacy.slots import Slots


@given(st.lists(st.integers(0, 12)))
def test_it_counts_like_a_counter(added: list[int]) -> None:
    slots, counts = Slots(added), Counter(added)
    assert list(slots.items()) == sorted(counts.items())
    assert slots == set(counts) and len(slots) == len(counts) and slots.total == len(added)
    assert slots.last == max(counts, default=-1)
    assert [slots.times(slot) for slot in range(-1, 14)] == [counts[slot] for slot in range(-1, 14)]
    assert [slot in slots for slot in range(-1, 14)] == [slot in counts for slot in range(-1, 14)]


@given(st.lists(st.integers(0, 30)))
def test_neighbours_that_happened_as_often_are_kept_as_one(added: list[int]) -> None:
    runs = Slots(added)._runs
    assert all(run.first < run.stop for run in runs)
    assert all(one.stop < other.first or one.times != other.times for one, other in pairwise(runs))


def test_slots_in_turn_take_no_memory() -> None:
    assert len(Slots(range(100_000))._runs) == 1


def test_it_goes_with_sets() -> None:
    slots = Slots([1, 2, 2])
    assert {0, 1} - slots == {0} and slots - {1} == {2} and slots | {5} == {1, 2, 5}
    assert {1} <= slots and not {3} <= slots
