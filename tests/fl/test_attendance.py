"""Who is left out for long is told once, with the reason, and once more when it is back."""

from __future__ import annotations

from typing import Any

import numpy as np

from fl.attendance import LONG, NAMED, Attendance
from fl.rounds import Slot
from radio.air import AirPlan, ChannelState, Received


class Told:
    """What of an air says what sounding found."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults


def slot(active: list[bool], quality: list[bool] | None = None) -> Slot:
    k = len(active)
    ones = np.ones(k)
    state = ChannelState(ones.astype(complex), ones, ones, 1.0, np.array(active if quality is None else quality))
    plan = AirPlan(ones.astype(complex), np.array(active), 1.0, 1.0)
    nothing = np.zeros(1)
    received = Received(nothing, nothing, nothing, False, "", np.zeros(k, np.int64), ones)
    return Slot(0, 0, state, plan, received, None)


def lines(attendance: Attendance, times: int, active: list[bool], air: Any = None, **more: Any) -> list[str]:
    return [line for _ in range(times) for line in attendance.after(slot(active, **more), air)]


def test_the_tenth_slot_in_a_row_is_told_and_no_other_until_it_is_back() -> None:
    attendance = Attendance(["device 0", "device 1 (ip:b serial x)"])
    air = Told("", "its phase moved by +60 degrees")
    assert lines(attendance, LONG - 1, [True, False], air) == []
    assert lines(attendance, 1, [True, True], air) == []  # back in time: counted anew
    assert lines(attendance, LONG + 30, [True, False], air) == [
        "device 1 (ip:b serial x) has been left out of 10 slots in a row: its phase moved by +60 degrees"
    ]
    assert attendance.at_the_end() == "left out to the end: device 1 (ip:b serial x) (40 slots)"
    assert lines(attendance, 5, [True, True], air) == ["device 1 (ip:b serial x) takes part again, after 40 slots"]
    assert attendance.at_the_end() == ""


def test_where_the_air_names_no_fault_the_sounding_says_which_sort_it_is() -> None:
    for quality, reason in ((True, "too weak to take part, or away"), (False, "not heard well enough, or away")):
        for air in (None, Told()):
            (line,) = lines(Attendance(["a", "b"]), LONG, [True, False], air, quality=[True, quality])
            assert line.startswith(f"b has been left out of 10 slots in a row: {reason}")


def test_a_slot_without_anybody_counts_for_nobody() -> None:
    attendance = Attendance(["a", "b"])
    assert lines(attendance, 3 * LONG, [False, False]) == [] and attendance.at_the_end() == ""


def test_many_make_few_lines() -> None:
    attendance = Attendance([f"device {k}" for k in range(1000)])
    assert len(found := lines(attendance, LONG, [True] + 999 * [False])) == NAMED + 1
    assert found[-1] == "and 996 more devices have; the report says how often each took part"
    assert attendance.at_the_end().endswith("device 3 (10 slots) and 996 more devices")
    assert len(found := lines(attendance, 1, 1000 * [True])) == NAMED + 1
    assert found[-1] == "and 996 more devices take part again"
