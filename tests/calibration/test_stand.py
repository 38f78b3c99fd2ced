"""Radios for a session: all of them, some of them, none."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.session import Session
from calibration.stand import at_station
from calibration.steps.alignment import Alignment
from calibration.steps.known_scalar import KnownScalar
from calibration.trial import Sweep
from radio.emulator.server import serve
from radio.station import StationFile

pytestmark = pytest.mark.libiio


def station(receiver: str, devices: list[str], **changes: object) -> StationFile:
    settings = {
        "lo_hz": 915e6, "receive_gain_db": 10, "transmit_gain_db": -10, "kernel_blocks": 1, "block_samples": 2112,
        "timeout_s": 0.5, "start_lag_s": 0.05,
    }  # fmt: skip
    return StationFile.model_validate(
        {
            "station": settings | changes,
            "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 0, "duty": 1},
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


def test_a_missing_device_is_named_and_the_others_are_calibrated(tmp_path: Path) -> None:
    with serve(3, clock="free", seed=5, host="127.0.0.1", port=0) as plutos:
        receiver, first, last = plutos.uris
        file = station(receiver, [first, "ip:127.0.0.1:1", last])
        with at_station(file, None) as stand:
            (finding,) = stand.findings
            assert (finding.subject, finding.quantity, finding.verdict) == ("device-1", "radio missing", "fail")
            assert "ip:127.0.0.1:1" in finding.advice
            assert stand.rig is not None and stand.rig.names == ("device-0", "device-2")
            sweeps = {"energy": Sweep(2048, 1024, 2, 2)}
            profile = Session(tmp_path, stand, [Alignment(), KnownScalar(sweeps)]).run()
        assert all(unit.transmit_buffer is None for unit in plutos.units)
    assert [radio.serial for radio in profile.device] == ["virtual-01", "virtual-02"]
    assert profile.facts["known_scalar"]["energy"]["works"] and profile.recommendation is not None
    assert profile.device[0].temperature_c is not None
    page = (tmp_path / "report.html").read_text()
    assert "radio missing" in page and "nobody listens there" in page


def test_without_a_receiver_there_is_a_report_all_the_same(tmp_path: Path) -> None:
    file = station("ip:127.0.0.1:1", ["ip:127.0.0.1:2"])
    with at_station(file, None) as stand:
        assert stand.rig is None
        profile = Session(tmp_path, stand, [Alignment()]).run()
    assert not profile.complete and {one.subject for one in profile.finding} == {"receiver", "device-0"}
    assert (tmp_path / "report.html").is_file()


def test_without_a_permit_nothing_is_sent(tmp_path: Path) -> None:
    with serve(2, seed=5, host="127.0.0.1", port=0) as plutos:
        file = station(plutos.uris[0], [plutos.uris[1]]).model_copy(update={"permit": None})
        with at_station(file, None) as stand:
            profile = Session(tmp_path, stand, [Alignment()]).run()
    (finding,) = (one for one in profile.finding if one.verdict == "fail")
    assert "permit" in finding.advice
