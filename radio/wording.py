"""Numbers as the report prints them."""

from __future__ import annotations

import json
import math
from typing import Any

ABSENT = "\u2014"


def bound(epsilon: float) -> str:
    """An epsilon with two digits, rounded up: what is printed is a bound too."""
    return f"{math.ceil(round(epsilon * 100, 6)) / 100:.2f}"


def percent(share: float | None) -> str:
    return ABSENT if share is None else f"{100 * share:.1f}\u00a0%"


def decibels(value: float, digits: int = 1) -> str:
    """A level as text with a true minus sign; an infinite one is named, not printed as a sentinel."""
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "\u221e dB" if value > 0 else "\u2212\u221e dB"
    return minus(f"{value:.{digits}f} dB")


def short(value: float) -> str:
    """A quantity with three digits and a decimal prefix, ending so that a unit can follow: `19.2 k`, `7 `."""
    for power_of_ten, suffix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power_of_ten:
            return f"{value / 10**power_of_ten:.3g} {suffix}"
    return f"{value:.3g} "


def count(value: int | None) -> str:
    return ABSENT if value is None else f"{value:,}"


def devices(number: int | None) -> str:
    if not number:
        return "the devices"
    return "one device" if number == 1 else f"{number:,} devices"


def minus(text: str) -> str:
    """Hyphens become true minus signs."""
    return text.replace("-", "\u2212")


def duration(seconds: float | None) -> str:
    """Seconds as a person says them; ABSENT where they were not recorded."""
    if seconds is None:
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows (dotted key, value as the JSON file has it) of a nested object."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return rows
