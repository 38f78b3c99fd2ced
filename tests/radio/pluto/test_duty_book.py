"""What one run used of a unit's duty, the next one knows."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from radio.emulator.server import Plutos
from radio.errors import InputError
from radio.pluto.duty_book import DutyBook, duty_folder
from radio.pluto.permit import WRITE_S, DutyMeter, PermitError, TransmitPermit
from radio.pluto.transceiver import open_radio
from radio.pluto.unit import Unit
from radio.pluto.weight import probe_wave

PERMIT = TransmitPermit(868.0e6, 868.6e6, max_eirp_dbm=-10.0, duty=0.1, duty_period_s=100.0)


class Clocks:
    """A wall clock that goes on, and a process's monotonic one, which begins at an instant of its own."""

    def __init__(self) -> None:
        self.wall = 1.7e9

    def meter(self, folder: Path, permit: TransmitPermit = PERMIT, origin: float = 5.0) -> DutyMeter:
        began = self.wall
        return DutyMeter(permit, lambda: self.wall - began + origin, DutyBook("104400b8", folder), lambda: self.wall)

    def send(self, meter: DutyMeter, seconds: float) -> None:
        meter.check("unit", seconds)
        meter.on()
        self.wall += seconds
        meter.off()


def test_a_second_run_goes_on_where_the_first_has_stopped(tmp_path: Path) -> None:
    clocks = Clocks()
    first = clocks.meter(tmp_path)
    clocks.send(first, 4.0)
    clocks.wall += 10.0
    clocks.send(first, 3.0)
    first.keep()
    clocks.wall += 20.0
    second = clocks.meter(tmp_path, origin=7e5)  # the computer was started anew
    assert second.left_s == pytest.approx(10.0 - 7.0, abs=1e-4)
    with pytest.raises(PermitError, match="leaves 3 s"):
        second.check("unit", 3.1)
    clocks.send(second, 2.0)
    second.keep()
    assert clocks.meter(tmp_path).left_s == pytest.approx(1.0, abs=1e-4)
    clocks.wall += 61.0  # 98 s since the start of all: four of them have left the window but two
    assert clocks.meter(tmp_path).left_s == pytest.approx(1.0, abs=1e-4)
    clocks.wall += 5.0
    assert clocks.meter(tmp_path).left_s == pytest.approx(1.0 + 4.0, abs=1e-4)


def test_a_wall_clock_that_is_set_back_does_not_forget(tmp_path: Path) -> None:
    clocks = Clocks()
    first = clocks.meter(tmp_path)
    clocks.send(first, 4.0)
    first.keep()
    clocks.wall -= 3600.0
    assert clocks.meter(tmp_path).left_s == pytest.approx(6.0, abs=1e-4)


def test_a_process_that_is_killed_takes_a_second_with_it_at_most(tmp_path: Path) -> None:
    clocks = Clocks()
    killed = clocks.meter(tmp_path)
    for _ in range(400):
        clocks.send(killed, 0.01)
        clocks.wall += 0.01
    left = clocks.meter(tmp_path).left_s
    assert 6.0 - 1e-4 <= left <= 6.0 + WRITE_S


def test_writing_is_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = itertools.count()
    monkeypatch.setattr(DutyBook, "write", lambda self, spans: next(written))
    clocks = Clocks()
    meter = clocks.meter(tmp_path)
    for _ in range(500):
        clocks.send(meter, 0.01)
    assert next(written) <= 1 + 5.0 / WRITE_S


def test_a_permit_without_limit_asks_no_book(tmp_path: Path) -> None:
    clocks = Clocks()
    meter = clocks.meter(tmp_path, TransmitPermit(1e9, 2e9, 0.0))
    clocks.send(meter, 50.0)
    meter.keep()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"on_air": [[1, 2]]}', '{"on_air": [[0, NaN, 0]]}'])
def test_a_book_that_cannot_be_read_permits_nothing(tmp_path: Path, text: str) -> None:
    clocks = Clocks()
    DutyBook("104400b8", tmp_path).path.write_text(text)
    with pytest.raises(InputError, match="wait for one duty period, then delete the file"):
        clocks.meter(tmp_path).check("unit")


def test_a_folder_that_cannot_be_written_permits_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be (read|written)"):
        Clocks().meter(tmp_path / "file" / "duty").check("unit")


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert duty_folder() == tmp_path / "pairzero" / "duty"
    assert DutyBook("usb:1.2/../x").path == tmp_path / "pairzero" / "duty" / "usb_1.2_.._x.json"


@pytest.mark.libiio
def test_two_runs_with_one_unit(plutos: Plutos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is allowed, and the first of two radios has used all of it; a virtual unit's file would not be there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    permit = TransmitPermit(902e6, 928e6, 10.0, duty=1e-4, duty_period_s=1000.0)

    def send() -> None:
        with open_radio(plutos.uris[0], permit=permit) as radio:
            radio.rate_sps, radio.lo_hz, radio.transmit_gain_db = 1e6, 915e6, -20.0
            while True:
                radio.transmit(0.5 * probe_wave(), cyclic=True)

    with pytest.raises(PermitError, match="permitted duty"):
        send()
    assert not duty_folder().exists()
    monkeypatch.setattr(Unit, "virtual", False)
    with pytest.raises(PermitError, match="permitted duty"):
        send()
    assert [path.name for path in duty_folder().iterdir()] == ["virtual-00.json"]
    before = plutos.units[0].starts
    with pytest.raises(PermitError, match="leaves 0 s"):
        send()
    assert plutos.units[0].starts == before
