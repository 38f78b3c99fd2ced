"""What of an experiment fits a station, and what becomes of a slot in which a radio fails: against virtual units."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fl.config import Experiment
from fl.station import Bench, bench_for, not_used, open_air
from fl.station_air import FAILURES_IN_A_ROW, RadioStop, StationAir
from radio.cast import CueLost
from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.errors import InputError
from radio.pluto import transceiver
from radio.pluto.permit import PermitError
from radio.station import StationFile, load_station

ROOT = Path(__file__).parents[2]


def station(uris: list[str], permit: dict[str, Any] | None = None, **changes: Any) -> StationFile:
    """The last of `uris` listens, the others are devices 0 and on."""
    *devices, receiver = uris
    settings = {"clock": "shared", "lo_hz": 915e6, "rate_sps": 600e3, "receive_gain_db": 30, "transmit_gain_db": -10,
                "block_samples": 2048, "kernel_blocks": 2, "timeout_s": 1.0}  # fmt: skip
    allowed = {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1} | (permit or {})
    return StationFile.model_validate(
        {
            "station": settings | changes,
            "permit": allowed,
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


ELSEWHERE = ["ip:a", "ip:b", "ip:c", "ip:d", "ip:e"]


def experiment(**radio: Any) -> Experiment:
    return Experiment.model_validate(
        {"learning": {"devices": 2}, "radio": {"window": 1024, "pilot_window": 512} | radio}
    )


def test_a_station_may_have_more_devices_than_the_experiment() -> None:
    bench = bench_for(experiment(), station(ELSEWHERE))
    assert [device.uri for device in bench.file.device] == ["ip:a", "ip:b"] and bench.spare == 2
    assert bench.described(experiment()) == (
        "coherent mode on station station (2 of its 4 devices, one reference clock, 915 MHz)"
    )


@pytest.mark.parametrize(
    ("radio", "clock", "message"),
    [
        ({"mode": "ideal"}, "shared", "radio.mode = 'ideal' adds without a radio.*leave --station out"),
        ({"fidelity": "symbol"}, "shared", "radio.fidelity = 'symbol'.*--set radio.fidelity=sample"),
        ({"mode": "coherent"}, "free", "clock = 'free'; feed all of them one 40 MHz.*--set radio.mode=energy"),
        ({"mode": "energy", "mapping": "reed"}, "free", "mean power of every channel, which nothing has measured"),
    ],
)
def test_what_cannot_go_over_these_radios(radio: dict[str, Any], clock: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bench_for(experiment(**radio), station(ELSEWHERE, clock=clock))


def test_too_few_devices() -> None:
    with pytest.raises(
        InputError, match=r"learning.devices = 2, but station station has 1; name more.*learning.devices=1"
    ):
        bench_for(experiment(), station(ELSEWHERE[:2]))


def test_without_a_permit_the_operator_must_vouch_and_then_for_these_settings_only() -> None:
    file = station(ELSEWHERE).model_copy(update={"permit": None})
    with pytest.raises(PermitError, match=r"nothing permits station station to transmit at 915 MHz; .*--allow-tx"):
        bench_for(experiment(), file)
    permit = bench_for(experiment(), file, allow_tx=True).permit
    assert (permit.low_hz, permit.high_hz, permit.max_eirp_dbm, permit.duty) == (914.7e6, 915.3e6, 7.0 - 10.0, 1.0)
    # A file's own permit is not widened by it.
    assert bench_for(experiment(), station(ELSEWHERE), allow_tx=True).permit.max_eirp_dbm == 10


def test_simulated_surroundings_are_said_not_to_be_used() -> None:
    assert not_used(experiment()) == "the air is the station's: the simulated surroundings in [radio] are not used"
    line = not_used(experiment(snr_db=30, fading="static"))
    assert line.startswith("the air is the station's: radio.fading = 'static', radio.snr_db = 30.0 and the defaults")


@pytest.mark.parametrize("name", ["virtual", "bench"])
def test_the_shipped_station_files_are_good(name: str) -> None:
    file = load_station(ROOT / "examples" / "stations" / f"{name}.toml")
    mode = "coherent" if file.station.clock == "shared" else "energy"
    bench = bench_for(Experiment.model_validate({"radio": {"mode": mode}}), file)
    assert len(bench.file.device) == 5 and not bench.spare
    assert all(file.eirp_dbm(device) <= bench.permit.max_eirp_dbm for device in file.device)


def test_the_shipped_virtual_station_is_what_emulate_serves() -> None:
    file = load_station(ROOT / "examples" / "stations" / "virtual.toml")
    units = [file.receiver, *file.device]
    assert [u.uri for u in units] == [f"ip:127.0.0.{2 + k}" for k in range(6)]
    assert [u.serial for u in units] == [f"virtual-{k:02d}" for k in range(6)]


@pytest.fixture(scope="module")
def units() -> Iterator[Plutos]:
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as plutos:
        yield plutos


@pytest.fixture
def air(units: Plutos) -> Iterator[StationAir]:
    bench = bench_for(experiment(), station(units.uris))
    opened = open_air(experiment(), bench, remedy=". Then: resume")
    yield opened
    opened.close()
    deadline = time.monotonic() + 10.0
    while not silent(units) and time.monotonic() < deadline:
        time.sleep(0.02)  # a buffer whose CLOSE is stalled is gone when the unit's server sees its client go
    assert silent(units)
    for unit in units.units:
        unit.faults.waiting.clear()


def silent(plutos: Plutos) -> bool:
    """As the units themselves see it."""
    return all(u.transceiver.settings.tx_gain_db == -89.75 and u.transmit_buffer is None for u in plutos.units)


def slot(air: StationAir, number: int) -> Any:
    """What a slot of payloads 0.5 and -0.25 brings; they add up to 0.25."""
    plan = air.mode.plan(air.sound(number), 1.0, truncation=0.05)
    return air.aggregate(number, np.array([[0.5], [-0.25]]), plan)


def good(received: Any) -> bool:
    return not received.erased and abs(received.total[0] - 0.25) < 0.02


def test_a_slot_at_a_station(air: StationAir) -> None:
    assert air.virtual and air.mode.name == "coherent" and air.on_air_samples == 1024 + 32
    assert good(slot(air, 0)) and good(slot(air, 1)) and air.failures == 0
    found = air.metadata()
    assert found is not None and [d["serial"] for d in found["devices"]] == ["virtual-00", "virtual-01"]
    assert found["devices"][0]["firmware"] == "v0.39-virtual"


# Unit 0 is a device, unit 2 the receiver.
@pytest.mark.parametrize(
    "fault",
    [
        "2:stall@capture=20,seconds=2", "2:drop@capture=20", "2:eio@capture=20", "2:ebusy@open=1", "2:gap@capture=20",
        "2:saturate@capture=8,count=20", "2:phase@capture=40", "2:power@capture=20,seconds=0.2",
        "0:stall@command=12,seconds=2", "0:drop@command=12", "0:eio@command=12", "0:phase@command=12",
        "0:power@command=12,seconds=0.2", "0:ebusy@open=1",
    ],
)  # fmt: skip
def test_a_fault_erases_its_slot_at_most_and_the_next_is_good(air: StationAir, units: Plutos, fault: str) -> None:
    number = 0
    if "@open" not in fault:
        while not good(slot(air, number)):  # on a busy machine one is erased now and then
            number += 1
            assert number < 3
    unit = int(fault[0])
    with units.lock:
        units.units[unit].faults.arm(parse_fault(fault))
    while units.units[unit].faults.waiting:
        number += 1
        during = slot(air, number)
        assert good(during) or (during.erased and during.reason)
        assert number < 10, "the fault must strike"
    assert any(good(slot(air, number + more)) for more in (1, 2))


def test_a_slot_that_failed_in_sounding_is_for_nobody(air: StationAir, units: Plutos) -> None:
    """Nobody is trusted, so nobody is asked to transmit, and nobody is charged."""
    with units.lock:
        units.units[0].faults.arm(parse_fault("0:ebusy@open=1"))
    state = air.sound(0)
    plan = air.mode.plan(state, 1.0, truncation=0.05)
    assert not state.quality.any() and not plan.active.any()
    received = air.aggregate(0, np.full((2, 1), 0.5), plan)
    assert received.erased and "in use by another program" in received.reason
    assert np.isneginf(received.transmit_power_dbfs).all()
    assert air.failures == 1 and good(slot(air, 1))


def test_one_failure_after_another_is_a_stop(air: StationAir, units: Plutos) -> None:
    with units.lock:
        units.units[0].faults.arm(parse_fault("0:ebusy@open=1,count=1000"))
    with pytest.raises(
        RadioStop, match=r"in use by another program.*\(3 slots in a row\); all radios are muted. Then: resume"
    ):
        for number in range(FAILURES_IN_A_ROW):
            assert slot(air, number).erased
    assert silent(units)


def test_a_cue_that_is_lost_costs_its_slot_and_never_the_run(air: StationAir, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> Any:
        raise CueLost("device-1 did not say")

    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
    monkeypatch.setattr(air._air, "receive", lost)
    for _ in range(2 * FAILURES_IN_A_ROW):
        received = air.receive(0, 2, plan)
        assert received.erased and received.reason == "device-1 did not say" and received.total.shape == (2,)
    monkeypatch.undo()
    assert air.failures == 0 and good(slot(air, 1))


def test_a_radio_that_does_not_come_back_is_a_stop(units: Plutos, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise transceiver.PlutoError("not there")

    air = open_air(experiment(), bench_for(experiment(), station(units.uris)))
    for radio in air._station.radios:
        radio._reconnect_s = 0.2
    try:
        assert good(slot(air, 0))
        with units.lock:
            units.units[2].faults.arm(parse_fault("2:drop@capture=20"))
        monkeypatch.setattr(transceiver, "find_serial", gone)
        with pytest.raises(
            RadioStop, match=r"serial virtual-02.*lost, and not found again within 0\.2 s; check cable and power"
        ):
            slot(air, 1)
        assert air.metadata() is None
    finally:
        air.close()
    assert silent(units)


def test_a_duty_that_is_used_up_is_a_stop(units: Plutos) -> None:
    bench = bench_for(experiment(), station(units.uris, permit={"duty": 0.0001, "duty_period_s": 1000}))
    air = open_air(experiment(), bench)
    try:
        with pytest.raises(RadioStop, match=r"permitted duty of 0\.01 % of 1000 s leaves.*wait"):
            for number in range(200):
                slot(air, number)
        assert silent(units)
    finally:
        air.close()


def test_radios_are_closed_where_no_air_can_be_laid_over_them(units: Plutos) -> None:
    """Vote mode cannot tell its two frequencies apart where crystals may be that far off; the next one can open them."""
    free = station(units.uris, clock="free", rate_sps=600e3)
    vote = Experiment.model_validate(
        {
            "learning": {"devices": 2, "payload": "sign", "optimiser": "sgd"},
            "radio": {"mode": "vote", "window": 256, "pilot_window": 256},
        }
    )
    with pytest.raises(InputError, match="moves a vote by"):
        open_air(vote, bench_for(vote, free))
    assert silent(units)
    open_air(experiment(), Bench(station(units.uris), bench_for(experiment(), station(units.uris)).permit)).close()
