"""The radios of a run, as the report shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fl.reporting.station_table import station_part
from fl.station_log import RADIOS, StationLog, sessions_of


def unit(serial: str, warm: float = 40.0, **changes: Any) -> dict[str, Any]:
    return {
        "uri": f"usb:{serial}", "serial": serial, "firmware": "v0.39", "lo_hz": 868.3e6, "rate_sps": 550e3,
        "transmit_gain_db": -40.0, "receive_gain_db": 20.0, "temperatures_c": {"transceiver": warm}, "clipped": 0,
    } | changes  # fmt: skip


def found(warm: float, clipped: int = 0) -> dict[str, Any]:
    return {
        "receiver": unit("r", warm),
        "devices": [unit("a", warm, clipped=clipped), unit("", warm, temperatures_c={})],
    }


def test_a_run_on_the_loopback_has_none(tmp_path: Path) -> None:
    assert sessions_of(tmp_path) == [] and station_part([]) is None
    (tmp_path / RADIOS).write_text('{"sess')
    assert sessions_of(tmp_path) == []


def test_roles_gains_and_temperatures_of_the_last_session(tmp_path: Path) -> None:
    StationLog(tmp_path, "energy mode", "not used", found(30.0)).end(None)
    log = StationLog(tmp_path, "energy mode", "not used", found(40.0))
    log.end(found(47.25, clipped=1200))
    part = station_part(sessions_of(tmp_path))
    assert part is not None and (part.sessions, part.virtual) == (2, False)
    assert part.settings == "868.3 MHz, 0.55 MS/s"
    assert [row["role"] for row in part.rows] == ["receiver", "device 0", "device 1"]
    assert [row["gain"] for row in part.rows] == ["20 dB", "\u221240 dB", "\u221240 dB"]
    assert [row["temperature"] for row in part.rows] == ["40.0 to 47.2 \u00b0C"] * 2 + ["\u2014"]
    assert [row["clipped"] for row in part.rows] == ["\u2014", "1,200", "0"]
    assert [row["serial"] for row in part.rows] == ["r", "a", "unknown"]


def test_a_session_whose_radios_did_not_answer_has_no_rows() -> None:
    part = station_part([{"air": "energy mode", "note": "x", "begin": None, "end": None}])
    assert part is not None and part.rows == [] and not part.virtual


def test_a_killed_session_has_no_end(tmp_path: Path) -> None:
    StationLog(tmp_path, "energy mode", "not used", found(30.0))
    part = station_part(sessions_of(tmp_path))
    assert part is not None and [row["temperature"] for row in part.rows][:2] == ["30.0 \u00b0C"] * 2
    assert part.rows[1]["clipped"] == "\u2014"
