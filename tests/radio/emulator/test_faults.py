"""Faults: how they are written and when they strike."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.emulator.faults import EVENTS, KINDS, Fault, Faults, parse_fault, read_faults
from radio.errors import InputError


def test_specifications() -> None:
    assert parse_fault("1:stall@capture=5") == Fault(1, "stall", "capture", 5, 1, 30.0)
    assert parse_fault("0:eio@command=20,count=3") == Fault(0, "eio", "command", 20, 3, 0.0)
    assert parse_fault("power@command=40,seconds=1.5", 2) == Fault(2, "power", "command", 40, 1, 1.5)
    assert read_faults("0:drop@capture=1; 1:ebusy@open=2", 2) == [
        Fault(0, "drop", "capture", 1),
        Fault(1, "ebusy", "open", 2),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_reads_back_as_it_is_printed(kind: str) -> None:
    event = {"ebusy": "open", "gap": "capture", "saturate": "capture"}.get(kind, EVENTS[0])
    fault = parse_fault(f"3:{kind}@{event}=7,count=2")
    assert parse_fault(str(fault)) == fault


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nunit = 1\nkind = "gap"\ncapture = 9\nseconds = 0.02\n')
    assert read_faults(str(path), 3) == [Fault(1, "gap", "capture", 9, 1, 0.02)]


@pytest.mark.parametrize(
    "text",
    [
        "1:explode@capture=5",
        "1:stall",
        "1:stall@capture",
        "1:stall@capture=0",
        "x:stall@capture=1",
        "1:stall@capture=1,open=2",
        "1:stall@capture=1,volume=2",
        "1:ebusy@command=1",
        "1:gap@command=1",
        "1:stall@capture=1,seconds=-1",
        "5:stall@capture=1",
        "no such file.toml",
    ],
)
def test_what_cannot_be_meant_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="fault"):
        read_faults(text, 3)


def test_a_broken_file_is_an_input_error(tmp_path: Path) -> None:
    for content in ("[[fault", "unit = 1", "[[fault]]\nunit = 0\n", "fault = 3\n"):
        path = tmp_path / "faults.toml"
        path.write_text(content)
        with pytest.raises(InputError):
            read_faults(str(path), 3)


def test_they_strike_at_the_nth_event_and_count_times() -> None:
    faults = Faults([parse_fault("0:eio@command=3,count=2")])
    hits = [bool(faults.strike(event)) for event in ("command", "capture", "command", "command", "command", "command")]
    assert hits == [False, False, False, True, True, False]
    assert not faults.waiting
