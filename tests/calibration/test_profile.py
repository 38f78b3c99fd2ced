"""Profiles come back from their files, and say where they are not valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.finding import Estimate, Finding, Limit
from calibration.plain import plain
from calibration.prediction import SumError
from calibration.profile import Found, Profile, Radio, Recommendation, check, check_radios, load_profile
from radio.errors import InputError
from radio.station import StationFile

MADE = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FINDING = Finding("channel", "device-0", "gain", Estimate(-3.0, 0.1, "dB"), Limit(low=-10.0), "pass")


def profile(**changes: Any) -> Profile:
    settings: dict[str, Any] = {
        "name": "bench",
        "air": "station",
        "made": MADE,
        "complete": True,
        "clock": "free",
        "lo_hz": 868.3e6,
        "rate_sps": 1e6,
        "receive_gain_db": 20.0,
        "radio_s": 61.5,
        "receiver": Radio(name="receiver", serial="r", temperature_c=40.0),
        "device": (Radio(name="device-0", serial="a", transmit_gain_db=-10.0, temperature_c=35.0),),
        "recommendation": Recommendation(
            mode="energy", window=16384, pilot_window=4096, pilots=2, receive_gain_db=20.0, truncation=0.3,
            csi_error=0.01, csi_moving=0.0, error=SumError(1e-4, 1e-5, 1e-6), expected_error=0.01, reasons=("because",),
        ),
        "facts": plain({"channel": {"gain": np.array([1.0, 2.0]), "why": None, "phase": 1 + 2j}}),
        "finding": (Found.of(FINDING),),
    }  # fmt: skip
    return Profile(**(settings | changes))


def station(**changes: Any) -> StationFile:
    settings = {"lo_hz": 868.3e6, "rate_sps": 1e6, "receive_gain_db": 20, "transmit_gain_db": -10} | changes
    return StationFile.model_validate({"station": settings, "receiver": {"serial": "r"}, "device": [{"serial": "a"}]})


def test_a_profile_comes_back_from_its_file(tmp_path: Path) -> None:
    written = profile()
    assert load_profile(written.write(tmp_path)) == written == load_profile(tmp_path)
    assert written.findings == (FINDING,)
    assert written.facts == {"channel": {"gain": [1.0, 2.0], "phase": [1.0, 2.0]}}


@pytest.mark.parametrize(
    "text, message",
    [
        ("version = 2", "version = 2; this program reads"),
        ("version = ", "not a readable TOML"),
        ("version = 1", "name"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_profile(tmp_path / "p.toml")
    with pytest.raises(InputError, match="pairzero calibrate"):
        load_profile(tmp_path / "none.toml")


def test_a_fresh_profile_of_the_same_station_has_no_problem() -> None:
    assert check(profile(), station(), MADE + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"lo_hz": 869e6}, "lo_hz"),
        ({"rate_sps": 2e6}, "rate_sps"),
        ({"clock": "shared"}, "clock"),
        ({"transmit_gain_db": -20}, "transmit_gain_db"),
    ],
)
def test_another_setting_is_refused(changes: dict[str, Any], named: str) -> None:
    (problem,) = check(profile(), station(**changes), MADE)
    assert problem.refuse and named in problem.text


def test_another_radio_or_air_is_refused() -> None:
    other = profile(device=(Radio(name="device-0", serial="b", transmit_gain_db=-10.0),))
    (problem,) = check(other, station(), MADE)
    assert problem.refuse and "serial" in problem.text
    assert any(problem.refuse for problem in check(profile(), None, MADE))
    problems = check_radios(profile(), {"serial": "r"}, [{"serial": "c"}])
    assert [problem.refuse for problem in problems] == [True]


def test_age_temperature_gain_and_what_the_session_found_are_doubts() -> None:
    failed = Found.of(Finding("carrier", "device-0", "drift", verdict="fail"))
    for changes, file, now, named in (
        ({}, station(), MADE + timedelta(hours=25), "25 h old"),
        ({"complete": False}, station(), MADE, "not finished"),
        ({"finding": (failed,)}, station(), MADE, "device-0: drift"),
        ({"recommendation": None}, station(), MADE, "recommends nothing"),
        ({}, station(receive_gain_db=25), MADE, "receive_gain_db = 20 of the profile"),
    ):
        (problem,) = check(profile(**changes), file, now)
        assert not problem.refuse and named in problem.text
    warm = [{"serial": "a", "temperatures_c": {"transceiver": 50.0}}]
    (problem,) = check_radios(profile(), {"serial": "r", "temperatures_c": {"transceiver": 41.0}}, warm)
    assert not problem.refuse and "50.0" in problem.text
