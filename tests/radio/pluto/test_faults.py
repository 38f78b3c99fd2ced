"""Whatever goes wrong in a round: a clean error or an erasure, nobody sends, and the next round is good.

Coherent mode on virtual units with one reference: two devices and a receiver. A fault strikes at the first event of its sort
in sounding or in the air slot.
"""

from __future__ import annotations

import numpy as np
import pytest

from radio.air import Air, Received
from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos
from radio.errors import InputError
from radio.pluto.driver import ConnectionLost, UnitBusy
from radio.station import OpenStation, StationFile, open_station

pytestmark = pytest.mark.libiio

DEVICE, RECEIVER = 0, 2
PAYLOADS = np.array([[0.5], [-0.9]])


def station(plutos: Plutos, timeout_s: float = 2.0) -> StationFile:
    settings = {
        "lo_hz": 915e6,
        "receive_gain_db": 30,
        "transmit_gain_db": -10,
        "clock": "shared",
        "timeout_s": timeout_s,
    }
    ring = {"block_samples": 2048, "kernel_blocks": 2}
    return StationFile.model_validate(
        {
            "station": settings | ring,
            "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1},
            "receiver": {"uri": plutos.uris[RECEIVER]},
            "device": [{"uri": uri} for uri in plutos.uris[:RECEIVER]],
        }
    )


def coherent(opened: OpenStation) -> Air:
    return opened.cell().air("coherent", 7, window=1024, pilot_window=1024)


def play(air: Air, t: int) -> Received:
    return air.aggregate(t, PAYLOADS, air.mode.plan(air.sound(t), 1.0, truncation=0.05))


def good(received: Received) -> bool:
    return not received.erased and abs(float(received.total[0] - PAYLOADS.sum())) < 0.02


def nobody_sends(plutos: Plutos) -> bool:
    return all(unit.transmit_buffer is None or all(w.silent for w in unit._waves) for unit in plutos.units)


def muted(plutos: Plutos) -> bool:
    return all(u.transmit_buffer is None and u.transceiver.settings.tx_gain_db == -89.75 for u in plutos.units)


@pytest.mark.parametrize("moment", ["sound", "air"])
@pytest.mark.parametrize(
    "fault",
    [
        "stall@capture=1,seconds=1.2",
        "drop@capture=1",
        "eio@capture=1",
        "power@capture=1,seconds=0.1",
        "gap@capture=1,seconds=0.001",
        "saturate@capture=4,count=2",  # three blocks are thrown away, and of the wanted ones the first holds the guard
        "phase@capture=4",
    ],
)
def test_of_the_receiver_erases_the_round(plutos: Plutos, fault: str, moment: str) -> None:
    with open_station(station(plutos, 0.4 if fault.startswith("stall") else 2.0), coherent=True) as opened:
        air = coherent(opened)
        assert good(play(air, 0))
        planned = parse_fault(fault, RECEIVER)
        if moment == "sound":
            plutos.units[RECEIVER].faults.arm(planned)
        plan = air.mode.plan(air.sound(1), 1.0, truncation=0.05)
        if moment == "air":
            plutos.units[RECEIVER].faults.arm(planned)
        received = air.aggregate(1, PAYLOADS, plan)
        # A carrier that turns before the first pilot has not turned for anybody.
        assert good(received) if (fault[:5], moment) == ("phase", "sound") else received.erased and received.reason
        assert np.isnan(received.total).all() == received.erased
        assert nobody_sends(plutos)
        assert good(play(air, 2))
    assert muted(plutos)


@pytest.mark.parametrize("moment", ["sound", "air"])
@pytest.mark.parametrize(
    "fault",
    ["stall@command=2,seconds=1.2", "drop@command=2", "eio@command=2", "power@command=2,seconds=0.1"],
)
def test_of_a_device_is_an_error_that_mutes_and_the_next_round_is_good(plutos: Plutos, fault: str, moment: str) -> None:
    with open_station(station(plutos, 0.4 if fault.startswith("stall") else 2.0), coherent=True) as opened:
        air = coherent(opened)
        assert good(play(air, 0))
        planned = parse_fault(fault, DEVICE)
        if moment == "sound":
            plutos.units[DEVICE].faults.arm(planned)
            with pytest.raises(ConnectionLost) as caught:
                air.sound(1)
        else:
            plan = air.mode.plan(air.sound(1), 1.0, truncation=0.05)
            plutos.units[DEVICE].faults.arm(planned)
            with pytest.raises(ConnectionLost) as caught:
                air.aggregate(1, PAYLOADS, plan)
        assert plutos.uris[DEVICE] in str(caught.value) and "\n" not in str(caught.value)
        assert muted(plutos)
        assert good(play(air, 2))
    assert muted(plutos)


def test_a_device_lost_between_two_rounds_costs_none(plutos: Plutos) -> None:
    """Asked whether its tone still runs, it does not answer, is opened again and starts again."""
    with open_station(station(plutos), coherent=True) as opened:
        air = coherent(opened)
        assert good(play(air, 0))
        plutos.units[DEVICE].faults.arm(parse_fault("power@command=1,seconds=0.1", DEVICE))
        assert good(play(air, 1))


@pytest.mark.parametrize("moment", ["sound", "air"])
def test_a_device_whose_carrier_jumps_after_its_pilots_erases_the_round(plutos: Plutos, moment: str) -> None:
    """In sounding: between its two pilots. In the air slot the reference tells."""
    with open_station(station(plutos), coherent=True) as opened:
        air = coherent(opened)
        assert good(play(air, 0))
        jump = parse_fault("phase@command=5", DEVICE)  # one question and two pairs of weights come before in sounding
        if moment == "sound":
            plutos.units[DEVICE].faults.arm(jump)
        plan = air.mode.plan(air.sound(1), 1.0, truncation=0.05)
        if moment == "air":
            plutos.units[DEVICE].faults.arm(parse_fault("phase@command=1", DEVICE))
        received = air.aggregate(1, PAYLOADS, plan)
        assert received.erased and nobody_sends(plutos)
        assert "phase" in received.reason or "reference" in received.reason
        assert good(play(air, 2))


@pytest.mark.parametrize("unit", [DEVICE, RECEIVER])
def test_a_buffer_that_is_busy_is_an_error_that_mutes(plutos: Plutos, unit: int) -> None:
    with open_station(station(plutos), coherent=True) as opened:
        air = coherent(opened)
        plutos.units[unit].faults.arm(parse_fault("ebusy@open=1", unit))
        with pytest.raises(UnitBusy, match="in use by another program"):
            air.sound(0)
        assert muted(plutos)
        assert good(play(air, 1))
    assert muted(plutos)


def test_a_unit_that_does_not_come_back_is_an_error_and_the_others_are_muted(plutos: Plutos) -> None:
    with open_station(station(plutos), coherent=True) as opened:
        for radio in (*opened.transmitters, opened.receiver):
            radio._reconnect_s = 0.3
        air = coherent(opened)
        plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
        plutos.units[DEVICE].faults.arm(parse_fault("power@command=1,seconds=30", DEVICE))
        with pytest.raises(InputError):
            air.aggregate(0, PAYLOADS, plan)
        assert nobody_sends(plutos)
        with pytest.raises(ConnectionLost, match="not found again within"):
            air.sound(1)
        assert nobody_sends(plutos)
