"""The radios of a run at a station, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from radio.wording import ABSENT, minus


@dataclass(frozen=True)
class StationPart:
    """The section's words and rows. `rows` are of the latest session: role, radio, gain, temperature, samples clipped."""

    air: str
    note: str
    sessions: int
    virtual: bool
    settings: str
    rows: list[dict[str, str]]


def station_part(sessions: list[dict[str, Any]]) -> StationPart | None:
    """From `fl.station_log`; None for a run on the loopback."""
    if not sessions:
        return None
    last = sessions[-1]
    begin, end = last.get("begin") or {}, last.get("end") or {}
    units = [begin["receiver"], *begin["devices"]] if begin else []
    later = [end["receiver"], *end["devices"]] if end else [{}] * len(units)
    first = units[0] if units else {}
    return StationPart(
        air=str(last.get("air", "")),
        note=str(last.get("note", "")),
        sessions=len(sessions),
        virtual=bool(units) and all(unit["firmware"].endswith("-virtual") for unit in units),
        settings=f"{first['lo_hz'] / 1e6:g} MHz, {first['rate_sps'] / 1e6:g} MS/s" if first else "",
        rows=[
            _row("receiver" if k == 0 else f"device {k - 1}", unit, then)
            for k, (unit, then) in enumerate(zip(units, later, strict=True))
        ],
    )


def _row(role: str, unit: dict[str, Any], then: dict[str, Any]) -> dict[str, str]:
    gain = unit["receive_gain_db"] if role == "receiver" else unit["transmit_gain_db"]
    warm = [t for t in (_transceiver(unit), _transceiver(then)) if t]
    return {
        "role": role,
        "radio": unit["uri"],
        "serial": unit["serial"] or "unknown",
        "firmware": unit["firmware"],
        "gain": minus(f"{gain:g} dB"),
        "temperature": " to ".join(warm) + " \u00b0C" if warm else ABSENT,
        "clipped": ABSENT if role == "receiver" or not then else f"{then['clipped']:,}",
    }


def _transceiver(unit: dict[str, Any]) -> str:
    value = (unit.get("temperatures_c") or {}).get("transceiver")
    return "" if value is None else f"{value:.1f}"
