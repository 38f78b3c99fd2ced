"""The station file, and the radios of a station on the air."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.air import Air
from radio.emulator.cores import TransmitCore
from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.emulator.wave import NEUTRAL
from radio.errors import InputError
from radio.pluto.transceiver import PlutoRadio
from radio.pluto.unit import Unit
from radio.station import OpenStation, StationFile, load_station, open_device, open_receiver, open_station

TEXT = """
[station]
name = "bench"
clock = "free"
lo_hz = 868.3e6
rate_sps = 600e3
receive_gain_db = 20
transmit_gain_db = -40

[permit]
band_hz = [868.0e6, 868.6e6]
max_eirp_dbm = -30
duty = 0.01

[receiver]
serial = "r"

[[device]]
uri = "ip:192.168.3.1"
serial = "a"

[[device]]
uri = "ip:192.168.4.1"
transmit_gain_db = -30.0
cable_loss_db = 30
antenna_gain_dbi = 2
"""


def load(tmp_path: Path, text: str) -> StationFile:
    path = tmp_path / "bench.toml"
    path.write_text(text)
    return load_station(path)


def test_a_station(tmp_path: Path) -> None:
    file = load(tmp_path, TEXT)
    assert file.receiver.serial == "r" and [d.uri for d in file.device] == ["ip:192.168.3.1", "ip:192.168.4.1"]
    assert [file.transmit_gain_db(d) for d in file.device] == [-40.0, -30.0]
    assert [file.eirp_dbm(d) for d in file.device] == [7.0 - 40.0, 7.0 - 30.0 + 2.0 - 30.0]
    assert file.offset_max_hz == pytest.approx(2 * 25e-6 * 868.3e6)
    assert load(tmp_path, TEXT.replace('"free"', '"shared"')).offset_max_hz == 0.0
    assert file.permit is not None and file.permit.transmit_permit().duty == 0.01


def test_devices_have_names(tmp_path: Path) -> None:
    assert load(tmp_path, TEXT).names == ("device-0", "device-1")
    assert load(tmp_path, TEXT.replace('serial = "a"', 'serial = "a"\nname = "alice"')).names == ("alice", "device-1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('serial = "a"', 'serial = "a"\nname = "device-1"', r"name = 'device-1' is that of two devices"),
        ('serial = "a"', 'serial = "a"\nname = "a b"', r"name = 'a b': string should match"),
        ("lo_hz", "lo_khz", r"bench\.toml: unknown key station\.lo_khz; did you mean lo_hz\?"),
        ("[receiver]", "[reciever]", r"unknown key reciever; did you mean receiver\?"),
        ('clock = "free"', 'clock = "gps"', r"station\.clock = 'gps': input should be 'shared' or 'free'"),
        ("lo_hz = 868.3e6", "lo_hz = -1", r"station\.lo_hz = -1: input should be greater than 0"),
        ("duty = 0.01", "duty = 2", r"permit\.duty = 2: input should be less than or equal to 1"),
        ('serial = "r"', 'cable_loss_db = 3', r"receiver: a radio needs a uri or a serial; .*pairzero radio find"),
        ('serial = "r"', 'serial = "a"', r"serial = 'a' is named more than once; every radio has one role"),
        ("192.168.4.1", "192.168.3.1", r"uri = 'ip:192\.168\.3\.1' is named more than once"),
        ("lo_hz = 868.3e6", "lo_hz = 869e6", r"outside the permitted 868 to 868\.6 MHz"),
        ("rate_sps = 600e3", "rate_sps = 1e6", r"1 MHz wide at 868\.3 MHz lies outside"),
        ("transmit_gain_db = -40", "transmit_gain_db = -20", r"device 0 \(ip:192\.168\.3\.1 serial a\): transmit gain -20 dB"),
        ("[868.0e6, 868.6e6]", "[868.6e6, 868.0e6]", r"permit\.band_hz.*ends must rise"),
        ("name =", "name ", r"not a readable TOML file"),
    ],
)  # fmt: skip
def test_errors_name_file_key_and_what_is_allowed(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, TEXT.replace(old, new, 1))
    assert "bench.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml not found; hardware\.md"):
        load_station(tmp_path / "none.toml")


def station(plutos: Plutos, **changes: Any) -> StationFile:
    """The last unit listens, the others are devices 0 and on."""
    settings = {
        "lo_hz": 915e6,
        "receive_gain_db": 30,
        "transmit_gain_db": -10,
        "block_samples": 2048,
        "kernel_blocks": 2,
    }
    *devices, receiver = plutos.uris
    return StationFile.model_validate(
        {
            "station": settings | changes,
            "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1},
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


def round_errors(air: Air, devices: int, rounds: int, scale: float = 1.0) -> list[float]:
    """Error of the sum over K, of full scale; NaN for an erasure."""
    draws = np.random.default_rng(4)
    errors = []
    for t in range(rounds):
        plan = air.mode.plan(air.sound(t), 1.0, truncation=0.05)
        payloads = scale * draws.uniform(-1.0, 1.0, (devices, 1))
        received = air.aggregate(t, payloads, plan)
        errors.append(float((received.total[0] - payloads[plan.active].sum()) / devices))
    return errors


def all_silent(plutos: Plutos) -> bool:
    return all(u.transceiver.settings.tx_gain_db == -89.75 and u.transmit_buffer is None for u in plutos.units)


@pytest.mark.libiio
def test_coherent_with_one_reference() -> None:
    """One per cent of full scale is what is promised; 12 bits and the noise of this bench make a tenth of that."""
    with serve(4, clock="shared", seed=1, host="127.0.0.1", port=0) as plutos:
        with open_station(station(plutos, clock="shared"), coherent=True) as opened:
            assert all(radio.weighs_live for radio in opened.transmitters)
            air = opened.cell().air("coherent", 7, pilot_window=1024)
            begun = [unit.starts for unit in plutos.units]
            errors = round_errors(air, 3, 4)
            assert np.abs(errors).max() < 0.01
            assert [unit.starts - before for unit, before in zip(plutos.units, begun, strict=True)] == [1, 1, 1, 0]
            assert opened.metadata()["receiver"]["serial"] == "virtual-03"
        assert all_silent(plutos)


@pytest.mark.libiio
def test_coherent_without_one_is_refused_and_energy_works() -> None:
    with serve(3, clock="free", seed=2, host="127.0.0.1", port=0) as plutos:
        with open_station(station(plutos), coherent=True) as opened:
            air = opened.cell().air("coherent", 7, pilot_window=1024)
            assert np.isnan(round_errors(air, 2, 1)).all()
            received = air.aggregate(0, np.zeros((2, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.05))
            assert "no shared clock" in received.reason
            energy = opened.cell().air("energy", 7)
            assert np.abs(round_errors(energy, 2, 2)).max() < 0.03
        assert all_silent(plutos)


@pytest.mark.libiio
@pytest.mark.parametrize("mode", ["tdma", "vote"])
def test_the_other_modes(mode: Any) -> None:
    with serve(3, clock="free", seed=3, host="127.0.0.1", port=0) as plutos, open_station(station(plutos)) as opened:
        air = opened.cell().air(mode, 7)
        if mode == "tdma":
            assert np.abs(round_errors(air, 2, 1)).max() < 0.03
        else:
            plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
            assert air.aggregate(0, np.array([[0.3, -0.2], [0.6, -0.9]]), plan).total.tolist() == [2.0, -2.0]


@pytest.mark.libiio
def test_average_powers_that_nobody_measured_are_refused(plutos: Plutos) -> None:
    with open_station(station(plutos)) as opened, pytest.raises(InputError, match="'reed', which needs the mean power"):
        opened.cell().air("energy", 1, average_power=True)


@pytest.fixture
def plutos() -> Any:
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as units:
        yield units


@pytest.mark.libiio
@pytest.mark.parametrize("fault", ["drop", "power", "eio"])
@pytest.mark.parametrize("block", [3, 15, 30])
def test_a_receiver_lost_in_a_round_erases_it_and_the_next_is_good(plutos: Plutos, fault: str, block: int) -> None:
    """Block 3 is dropped before the silence that is listened to first; the 15th lies among the pilots, the 30th among the
    payloads."""
    with open_station(station(plutos, clock="shared"), coherent=True) as opened:
        air = opened.cell().air("coherent", 7, pilot_window=1024)
        assert np.abs(round_errors(air, 2, 1)).max() < 0.01
        plutos.units[2].faults.arm(parse_fault(f"{fault}@capture={block}", 2))
        during, after = round_errors(air, 2, 2)
        assert np.isnan(during)
        assert abs(after) < 0.01


@pytest.mark.libiio
def test_a_gap_anywhere_after_the_pilots_erases_the_round(plutos: Plutos) -> None:
    """The held tones' phase is known by the count of samples only, so a gap in samples that are dropped counts too."""
    with open_station(station(plutos, clock="shared"), coherent=True) as opened:
        air = opened.cell().air("coherent", 7, pilot_window=1024)
        plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
        plutos.units[2].faults.arm(parse_fault("gap@capture=1,seconds=0.001", 2))
        received = air.aggregate(0, np.full((2, 1), 0.5), plan)
        assert received.erased and "lost count" in received.reason
        assert np.abs(round_errors(air, 2, 1)).max() < 0.01


@pytest.mark.libiio
def test_a_device_lost_in_a_round_is_silent_and_comes_back_in_the_next(plutos: Plutos) -> None:
    with open_station(station(plutos, clock="shared"), coherent=True) as opened:
        air = opened.cell().air("coherent", 7, pilot_window=1024)
        plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
        plutos.units[0].faults.arm(parse_fault("power@command=1,seconds=0.2", 0))
        with pytest.raises(InputError, match=r"connection|nobody listens|lost"):
            air.aggregate(0, np.full((2, 1), 0.5), plan)
        assert all_silent(plutos)
        assert np.abs(round_errors(air, 2, 1)).max() < 0.01


@pytest.mark.libiio
def test_tones_that_were_lost_between_rounds_are_started_again(plutos: Plutos) -> None:
    """By a tuning, by a mute, by a unit that was switched off: the round after is good."""
    with open_station(station(plutos, clock="shared"), coherent=True) as opened:
        air = opened.cell().air("coherent", 7, pilot_window=1024)
        device = opened.transmitters[1]
        assert np.abs(round_errors(air, 2, 1)).max() < 0.01
        for lose in (lambda: setattr(device, "lo_hz", 915e6), device.mute, lambda: plutos._stations[1].lose_power(0.1)):
            begun = plutos.units[1].starts
            lose()
            assert not device.holding
            assert np.abs(round_errors(air, 2, 2)).max() < 0.01
            assert plutos.units[1].starts == begun + 1


@pytest.mark.libiio
def test_a_station_without_a_permit_opens_and_does_not_transmit(plutos: Plutos) -> None:
    silent = station(plutos).model_copy(update={"permit": None})
    with open_station(silent) as opened:
        air = opened.cell().air("energy", 7)
        with pytest.raises(InputError, match="nothing permits this radio to transmit"):
            air.sound(0)
        assert all_silent(plutos) and all(unit.starts == 0 for unit in plutos.units)


@pytest.mark.libiio
def test_a_unit_that_is_missing_leaves_the_others_closed(plutos: Plutos) -> None:
    file = station(plutos)
    wrong = file.model_copy(
        update={"device": (*file.device, file.device[0].model_copy(update={"uri": "ip:127.0.0.1:9"}))}
    )
    with pytest.raises(InputError, match=r"ip:127\.0\.0\.1:9: open"):
        open_station(wrong)
    with open_station(file) as again:
        assert isinstance(again, OpenStation) and all(isinstance(r, PlutoRadio) for r in again.transmitters)


@pytest.mark.libiio
def test_a_unit_that_cannot_weigh_is_refused_for_coherent_mode(plutos: Plutos, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = property(lambda core: NEUTRAL, lambda core, value: None)
    monkeypatch.setattr(TransmitCore, "stage", stuck, raising=False)
    with pytest.raises(InputError, match="scaling a running transmission"):
        open_station(station(plutos), coherent=True)
    open_station(station(plutos)).close()


@pytest.mark.libiio
def test_units_that_believe_in_different_references_are_refused_on_one_clock(plutos: Plutos) -> None:
    """160 Hz of 40 MHz are 4 ppm; nothing is tuned before they are found."""
    with open_station(station(plutos)) as opened:
        opened.transmitters[1].unit.set("xo_correction", "40000160")
    tuned = [unit.transceiver.settings.tx_lo_hz for unit in plutos.units]
    with pytest.raises(InputError) as caught:
        open_station(station(plutos, clock="shared", lo_hz=905e6))
    assert f"{plutos.uris[1]} (serial virtual-01) has 40000160 Hz, the others 40000000 Hz" in str(caught.value)
    assert "4 ppm apart. Set 40000000 on all of them" in str(caught.value)
    assert [unit.transceiver.settings.tx_lo_hz for unit in plutos.units] == tuned and all_silent(plutos)
    open_station(station(plutos, clock="free")).close()
    with plutos.lock:
        plutos.units[1].boot()
    open_station(station(plutos, clock="shared")).close()


@pytest.mark.libiio
def test_a_radio_of_a_station_alone(plutos: Plutos) -> None:
    """As `open_station` sets it, and no other unit is asked."""
    file = station(plutos)
    with open_station(file) as opened:
        whole = [radio.metadata() | {"temperatures_c": {}} for radio in opened.radios]
    permit = file.permit
    assert permit is not None
    for k in range(2):
        with open_device(file, k, permit.transmit_permit()) as radio:
            assert radio.metadata() | {"temperatures_c": {}} == whole[k]
            radio.transmit(np.ones(64, dtype=complex), cyclic=True)
        assert all_silent(plutos)
    with open_receiver(file) as radio:
        assert radio.metadata() | {"temperatures_c": {}} == whole[2]
        with pytest.raises(InputError, match="nothing permits this radio"):
            radio.transmit(np.ones(64, dtype=complex))


@pytest.mark.libiio
def test_what_tuning_radiates_is_said_once_for_all(
    plutos: Plutos, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_station(station(plutos)).close()
    assert not caplog.records  # virtual units radiate nothing
    for unit in plutos.units:
        unit.boot()
    monkeypatch.setattr(Unit, "virtual", False)
    open_station(station(plutos)).close()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(
        f"{plutos.uris[0]} (serial virtual-00), {plutos.uris[1]} (serial virtual-01): moving the transmit LO to 915 MHz"
    )
