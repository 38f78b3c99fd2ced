"""One device's transmitter at a station of virtual units: what is refused, and what becomes of a cue that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fl.config import Experiment
from fl.lab.device_radio import DeviceRadio
from fl.lab.messages import Cue, Propose, Tuned
from fl.station_air import FAILURES_IN_A_ROW
from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.errors import InputError
from radio.pluto.permit import PermitError
from tests.fl.lab.test_lab_station import STATION

pytestmark = pytest.mark.libiio

PROPOSE = Propose(0, 2, 0.0, (0.5, 0.0), 1.0)


@pytest.fixture(scope="module")
def units() -> Iterator[Plutos]:
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as plutos:
        yield plutos


@pytest.fixture
def file(units: Plutos, tmp_path: Path) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(STATION.format(clock="shared", uris=units.uris), encoding="utf-8")
    return path


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def radio(file: Path, units: Plutos, said: list[str]) -> Iterator[DeviceRadio]:
    with DeviceRadio("device-1", file, False, said.append) as made:
        yield made
    for unit in units.units:
        unit.faults.waiting.clear()
        assert unit.transmit_buffer is None


def experiment(mode: str = "energy", **radio: object) -> Experiment:
    return Experiment.model_validate(
        {"learning": {"devices": 2}, "radio": {"mode": mode, "window": 1024, "pilot_window": 512} | radio}
    )


def test_its_own_unit_alone(radio: DeviceRadio, units: Plutos) -> None:
    assert radio.serial == "virtual-02" and radio.virtual
    assert radio.tuned == Tuned(915e6, 1e6, "shared", 40e6)
    assert radio.temperature_c is not None and 0 < radio.temperature_c < 100


def test_a_name_that_the_station_does_not_have(file: Path) -> None:
    with pytest.raises(InputError, match=r"no device 'alice'; it has device-0, device-1\. Give the"):
        DeviceRadio("alice", file, False, print)
    file.write_text(file.read_text().replace('name = "device-1"', 'name = "alice"'))
    DeviceRadio("alice", file, False, print).close()
    with pytest.raises(InputError, match="no device 'device-1'; it has device-0, alice"):
        DeviceRadio("device-1", file, False, print)


def test_nothing_is_sent_without_a_permit(file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("[permit]")] + text[text.index("[receiver]") :])
    with pytest.raises(PermitError, match="nothing permits station three to transmit"):
        DeviceRadio("device-0", file, False, print)
    DeviceRadio("device-0", file, True, print).close()


def test_a_mode_that_the_station_cannot_carry(file: Path, units: Plutos) -> None:
    file.write_text(file.read_text().replace('clock = "shared"', 'clock = "free"'))
    with DeviceRadio("device-0", file, False, print) as radio, pytest.raises(InputError, match="one reference clock"):
        radio.prepare(experiment("coherent"), 0)


def test_cues_are_carried_out_and_a_payload_needs_one(radio: DeviceRadio, units: Plutos, said: list[str]) -> None:
    radio.prepare(experiment(), 0)
    assert radio.perform(Cue(0, 1, "pilot")) == (True, False)
    assert units.units[2].transmit_buffer is not None
    assert radio.perform(Cue(0, 2, "mute")) == (True, False)
    assert radio.perform(Cue(0, 3, "payload")) == (False, False)
    assert "released no such number" in said[-1] and radio.failure is None
    radio.load(PROPOSE, np.array([0.5]))
    assert radio.perform(Cue(0, 4, "payload", 0, 1)) == (True, False)  # silence, sent like any other
    assert units.units[2].transmit_buffer is not None
    radio.mute()
    assert units.units[2].transmit_buffer is None
    assert radio.perform(Cue(0, 5, "payload", 0, 1)) == (False, False)  # what was loaded is gone


def test_a_tone_is_held_where_that_is_proved(radio: DeviceRadio, units: Plutos) -> None:
    radio.prepare(experiment("coherent"), 1)
    assert radio.perform(Cue(0, 1, "hold")) == (True, True)
    assert radio.perform(Cue(0, 2, "hold")) == (True, False)
    radio.load(PROPOSE, np.array([0.5]))
    assert radio.perform(Cue(0, 3, "payload")) == (True, False)
    assert radio.perform(Cue(0, 4, "reference", level=0.5)) == (True, False)
    assert radio.perform(Cue(0, 5, "rest")) == (True, False)
    assert units.units[2].transmit_buffer is not None


def test_one_failure_after_another_is_the_end(radio: DeviceRadio, units: Plutos, said: list[str]) -> None:
    radio.prepare(experiment(), 0)
    with units.lock:
        units.units[2].faults.arm(parse_fault("2:ebusy@open=1,count=1000"))
    for number in range(FAILURES_IN_A_ROW):
        assert radio.failure is None
        assert radio.perform(Cue(number, 1, "pilot")) == (False, False)
        assert units.units[2].transmit_buffer is None and "in use by another program" in said[-1]
    assert radio.failure is not None and "this radio is muted. Mend that, then start the device again" in str(
        radio.failure
    )


def test_a_duty_that_is_used_up_is_the_end_at_once(file: Path, units: Plutos, said: list[str]) -> None:
    file.write_text(file.read_text().replace("duty = 1", "duty = 1e-9\nduty_period_s = 1000"))
    with DeviceRadio("device-1", file, False, said.append) as radio:
        radio.prepare(experiment(), 0)
        number = 0
        while radio.failure is None:
            number += 1
            assert number < 20
            radio.perform(Cue(0, number, "pilot"))
        assert "permitted duty" in str(radio.failure) and units.units[2].transmit_buffer is None
