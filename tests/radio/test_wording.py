"""How numbers are printed."""

from __future__ import annotations

import math

from radio.wording import bound, decibels, duration, flat, percent, short


def test_a_printed_epsilon_is_a_bound() -> None:
    assert bound(6.3127) == "6.32" and bound(6.32) == "6.32" and bound(6.320001) == "6.33"


def test_infinite_and_missing_levels_are_named() -> None:
    assert decibels(math.inf) == "\u221e dB" and decibels(-math.inf) == "\u2212\u221e dB"
    assert decibels(math.nan) == "not measured" and decibels(-3.14) == "\u22123.1 dB"
    assert percent(None) == "\u2014" and percent(0.123) == "12.3\u00a0%"


def test_quantities_and_times() -> None:
    assert short(19_230) + "bit" == "19.2 kbit" and short(7) + "bit" == "7 bit" and short(2.5e9) == "2.5 G"
    assert duration(None) == "\u2014" and duration(59.94) == "59.9 s"
    assert duration(192.4) == "3 min 12 s" and duration(3_720) == "1 h 02 min"


def test_nested_objects_become_dotted_rows() -> None:
    assert flat({"a": 1, "b": {"c": None, "d": {}}}) == [("a", "1"), ("b.c", "null"), ("b.d", "{}")]
