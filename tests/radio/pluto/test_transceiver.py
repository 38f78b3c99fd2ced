"""A Pluto as a `Radio`, over pyadi-iio and libiio, on virtual units."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos
from radio.pluto import proof
from radio.pluto.driver import ConnectionLost, PlutoError
from radio.pluto.permit import PermitError, TransmitPermit
from radio.pluto.proof import await_wave, prove_weight
from radio.pluto.scan import find_serial
from radio.pluto.transceiver import PlutoRadio, open_radio
from radio.pluto.unit import Unit
from radio.pluto.weight import TRIALS, measure_weights, probe_wave
from radio.radio import Radio, WeighableRadio

pytestmark = pytest.mark.libiio

PERMIT = TransmitPermit(902e6, 928e6, max_eirp_dbm=10.0)


@pytest.fixture
def radio(uri: str) -> Iterator[PlutoRadio]:
    with open_radio(uri, permit=PERMIT, timeout_s=0.5) as opened:
        yield opened


def tuned(radio: PlutoRadio) -> PlutoRadio:
    radio.rate_sps = 1e6
    radio.lo_hz = 915e6
    radio.transmit_gain_db = -20.0
    radio.receive_gain_db = 30.0
    return radio


def silent(plutos: Plutos, index: int = 0) -> bool:
    """What the unit itself says."""
    unit = plutos.units[index]
    settings = unit.transceiver.settings
    return (
        settings.tx_gain_db == -89.75
        and settings.tx_down
        and settings.loopback == 0
        and unit.transmit_buffer is None
        and not unit.core.generating
    )


def test_it_is_a_radio_and_silent_when_opened(radio: PlutoRadio, plutos: Plutos) -> None:
    held: Radio = radio
    assert isinstance(held, WeighableRadio)
    assert silent(plutos)
    assert plutos.units[0].transceiver.settings.gain_mode == "manual"


def test_settings_reach_the_unit(radio: PlutoRadio, plutos: Plutos) -> None:
    tuned(radio)
    settings = plutos.units[0].transceiver.settings
    assert (settings.rate_sps, settings.rx_lo_hz, settings.tx_lo_hz, settings.rx_gain_db) == (10**6, 915e6, 915e6, 30)
    assert settings.fir  # no rate below 2.08 MS/s without
    assert settings.rx_bandwidth_hz == settings.tx_bandwidth_hz == 10**6
    known = radio.metadata()
    assert known["serial"] == "virtual-00" and known["rate_sps"] == 1e6 and known["receive_gain_db"] == 30.0
    assert 0.0 < known["temperatures_c"]["transceiver"] < 90.0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lo_hz", 100e6, "receive_lo is 100000000; this unit allows 325000000 to"),
        ("rate_sps", 100e3, "rate is 100000; this unit allows 521000 to"),
        ("transmit_gain_db", 3.0, "transmit_gain is 3; this unit allows -89.75 to 0"),
        ("receive_gain_db", 90.0, "receive_gain is 90; this unit allows"),
    ],
)
def test_ranges_are_the_units_own(radio: PlutoRadio, name: str, value: float, message: str) -> None:
    with pytest.raises(PlutoError, match=message):
        setattr(radio, name, value)


def test_nothing_is_sent_without_a_permit_or_beyond_it(uri: str, plutos: Plutos) -> None:
    wave = probe_wave()
    with open_radio(uri) as radio:
        with pytest.raises(PermitError, match="nothing permits this radio to transmit"):
            radio.transmit(wave, cyclic=True)
        assert silent(plutos)
    with open_radio(uri, permit=TransmitPermit(902e6, 928e6, -30.0), antenna_gain_dbi=3.0) as radio:
        radio.rate_sps = 1e6
        with pytest.raises(PermitError, match="outside the permitted"):
            radio.transmit(wave, cyclic=True)  # where the unit happens to be tuned
        with pytest.raises(PermitError, match="outside the permitted"):
            radio.lo_hz = 868e6
        radio.lo_hz = 915e6
        with pytest.raises(PermitError, match="gain of at most -40 dB"):
            radio.transmit_gain_db = -39.75
        assert silent(plutos) and plutos.units[0].starts == 0


def test_a_transmission_is_heard_and_mute_ends_it(plutos: Plutos) -> None:
    with open_radio(plutos.uris[0], permit=PERMIT) as sender, open_radio(plutos.uris[1]) as receiver:
        tuned(sender)
        receiver.rate_sps, receiver.lo_hz, receiver.receive_gain_db = 1e6, 915e6, 30.0
        noise = np.mean(np.abs(receiver.receive(4096)) ** 2)
        sender.transmit(0.9 * np.exp(2j * np.pi * np.arange(64) / 8), cyclic=True)
        receiver.receive(60_000)  # the latest start
        assert np.mean(np.abs(receiver.receive(4096)) ** 2) > 1.5 * noise
        sender.mute()
        sender.mute()
        assert np.mean(np.abs(receiver.receive(4096)) ** 2) < 1.2 * noise


def test_loopback_is_bit_exact_and_clips(radio: PlutoRadio) -> None:
    codes = np.random.default_rng(3).integers(-2047, 2048, (1024, 2))
    wave = (codes / 2047.0).reshape(-1).view(np.complex128)
    wave[7] = 3.0 - 0.5j
    codes[7] = (2047, round(-0.5 * 2047))
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, wave / 1.1)
        heard = np.rint(radio.receive(1024).view(np.float64) * 2048).reshape(-1, 2)
    shifts = np.flatnonzero((heard == codes[0]).all(axis=1))
    assert any(np.array_equal(np.roll(heard, -shift, axis=0), codes) for shift in shifts)
    assert radio.clipped == 1


@pytest.mark.parametrize("live", [True, False])
def test_weights_live_and_by_handing_over_again(radio: PlutoRadio, plutos: Plutos, live: bool) -> None:
    wave = probe_wave()
    if live:
        assert prove_weight(radio)
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, wave)
        begun = plutos.units[0].starts

        def receive(n: int) -> np.ndarray:
            if not live:
                radio.receive(1_600_000)  # every new start may be 50 ms late, at 30.72 MS/s
            return radio.receive(n)

        found = measure_weights(radio.weigh, receive, wave, TRIALS if live else TRIALS[3:4])
        assert (plutos.units[0].starts == begun) == live
    for wanted, value in found:
        assert abs(value - wanted) < 2e-3
    assert radio.weighs_live == live


def test_samples_that_are_lost_disprove_nothing(radio: PlutoRadio, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where other radios of the bench are opened meanwhile."""
    heard: list[complex] = []

    def lossy(*settings: Any) -> list[tuple[complex, complex]]:
        found = measure_weights(*settings)
        heard.append(found[0][1])
        return found if len(heard) > 2 else [(wanted, complex(np.nan, np.nan)) for wanted, _ in found]

    monkeypatch.setattr(proof, "measure_weights", lossy)
    assert prove_weight(radio) and len(heard) == 3


def test_a_weight_is_limited_at_full_scale(radio: PlutoRadio, plutos: Plutos) -> None:
    assert prove_weight(radio)
    with radio.digital_loopback():
        radio.transmit(np.full(64, 0.8 + 0j), cyclic=True)
        radio.weigh(2.0)
        assert plutos.units[0].core.stage.i_scale / 2**14 == pytest.approx(1.25)
        assert radio.clipped == 64


def test_no_weight_without_a_transmission(radio: PlutoRadio) -> None:
    with pytest.raises(PlutoError, match="no cyclic transmission runs"):
        radio.weigh(0.5)


@pytest.mark.parametrize("bad", [np.zeros(0, complex), np.zeros((2, 2), complex), np.array([np.nan + 0j])])
def test_samples_that_cannot_be_sent(radio: PlutoRadio, bad: np.ndarray) -> None:
    with pytest.raises(PlutoError, match=r"is needed|not finite"):
        radio.transmit(bad)


def test_a_second_wave_and_another_length_replace_the_first(radio: PlutoRadio, plutos: Plutos) -> None:
    with radio.digital_loopback():
        for length in (64, 65, 1024):
            radio.transmit(np.full(length, 0.5 + 0j), cyclic=True)
        radio.transmit(np.full(100, 0.25 + 0j), cyclic=False)
        assert len(plutos.units[0]._waves) == 1 and not plutos.units[0]._waves[0].cyclic


def test_the_clock_counts_every_sample(radio: PlutoRadio, plutos: Plutos) -> None:
    """5 blocks of 4096 are dropped before each reception, and what is left of its last block with the next."""
    tuned(radio)
    assert radio.receive(5000).size == 5000
    assert radio.clock_samples == 5 * 4096 + 5000
    epoch = radio.clock_epoch
    assert radio.receive(77).size == 77
    assert radio.clock_samples == (5 + 2 + 5) * 4096 + 77
    assert radio.clock_epoch == epoch


def test_no_stale_sample_is_taken_for_a_fresh_one(uri: str, plutos: Plutos) -> None:
    """The unit numbers the blocks it captures; each reception must hold numbers from after the mark only."""
    with open_radio(uri, block_samples=256, kernel_blocks=3) as radio:
        for trial in range(1000):
            with plutos.lock:
                plutos.units[0].mark = trial
            heard = np.rint(radio.receive(300).real * 2048)
            assert (heard == trial).all()


def test_the_same_unit_twice_is_refused(radio: PlutoRadio, uri: str) -> None:
    with pytest.raises(PlutoError, match="serial virtual-00 is open already"):
        open_radio(uri)
    with pytest.raises(PlutoError, match=r"serial virtual-00 answers there; wanted is other"):
        find_serial(uri, "other")


def test_a_unit_that_another_client_uses_is_busy(radio: PlutoRadio, uri: str) -> None:
    import iio

    context = iio.Context(uri)
    device = context.find_device("cf-ad9361-lpc")
    for name in ("voltage0", "voltage1"):
        device.find_channel(name).enabled = True
    buffer = iio.Buffer(device, 64, False)
    with pytest.raises(PlutoError, match="in use by another program"):
        radio.receive(64)
    del buffer
    assert radio.receive(64).size == 64


@pytest.mark.parametrize(
    "fault", ["drop@capture=3", "eio@capture=3", "stall@capture=3,seconds=2", "power@capture=3,seconds=0.2"]
)
def test_a_receiver_that_is_lost_comes_back(uri: str, plutos: Plutos, fault: str) -> None:
    """The reception counts for nothing, the next is good, and the unit is set as it was."""
    with open_radio(uri, timeout_s=0.3) as radio:
        radio.rate_sps, radio.lo_hz, radio.receive_gain_db = 1e6, 915e6, 30.0
        radio.receive(64)
        epoch = radio.clock_epoch
        plutos.units[0].faults.arm(parse_fault(fault, 0))
        assert np.isnan(radio.receive(4096)).all()
        assert np.isfinite(radio.receive(4096)).all()
        assert radio.clock_epoch > epoch
        settings = plutos.units[0].transceiver.settings
        assert (settings.rate_sps, settings.rx_lo_hz, settings.rx_gain_db) == (10**6, 915e6, 30)
        assert settings.gain_mode == "manual" and silent(plutos)


def test_a_unit_that_stays_stalled_is_an_error(uri: str, plutos: Plutos) -> None:
    """Its server still has the buffer open that the lost connection had."""
    with open_radio(uri, timeout_s=0.3, reconnect_s=0.3) as radio:
        radio.receive(64)
        plutos.units[0].faults.arm(parse_fault("stall@capture=3,seconds=30", 0))
        assert np.isnan(radio.receive(4096)).all()
        with pytest.raises(PlutoError, match="in use by another program"):
            radio.receive(64)


def test_a_transmitter_that_is_lost_while_sending_is_silent_and_says_so(radio: PlutoRadio, plutos: Plutos) -> None:
    tuned(radio)
    prove_weight(radio)
    wave = 0.5 * probe_wave()
    radio.transmit(wave, cyclic=True)
    plutos.units[0].faults.arm(parse_fault("power@command=1,seconds=0.2", 0))
    with pytest.raises(ConnectionLost):
        radio.weigh(0.5)
    radio.mute()  # opens it again
    assert silent(plutos)
    radio.transmit(wave, cyclic=True)
    settings = plutos.units[0].transceiver.settings
    assert (settings.rate_sps, settings.tx_lo_hz, settings.tx_gain_db) == (10**6, 915e6, -20.0)


def test_a_unit_that_stays_away_is_an_error(plutos: Plutos, caplog: pytest.LogCaptureFixture) -> None:
    radio = open_radio(plutos.uris[0], timeout_s=0.3, reconnect_s=0.2)
    plutos.close()
    with pytest.raises(ConnectionLost, match="not found again within"):
        radio.receive(64)
    radio.close()
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert told.startswith(
        f"{radio.uri} (serial virtual-00): could not be silenced and MAY STILL TRANSMIT: pull its plug"
    )
    radio.close()
    with pytest.raises(PlutoError, match="closed"):
        radio.receive(64)


@pytest.mark.parametrize("fault", ["stall@command=1,seconds=2", "drop@command=1,count=6", "eio@command=1,count=6"])
def test_closing_silences_a_unit_that_does_not_obey_at_once(
    uri: str, plutos: Plutos, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that ends again and again, or longer than the timeout: while opened anew, too, and while silenced."""
    with open_radio(uri, permit=PERMIT, timeout_s=0.3) as radio:
        tuned(radio).transmit(probe_wave(), cyclic=True)
        plutos.units[0].faults.arm(parse_fault(fault, 0))
    assert not plutos.units[0].faults.waiting
    deadline = time.monotonic() + 10.0
    while not silent(plutos) and time.monotonic() < deadline:
        time.sleep(0.02)  # a buffer whose CLOSE is stalled is gone when the unit's server sees its client go
    assert silent(plutos)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_calibration_is_announced_where_it_is_radiated(
    uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The transmit LO boots at 2450 MHz; a virtual unit, and a step below 100 MHz, radiate nothing."""
    with open_radio(uri, permit=PERMIT) as radio:
        radio.lo_hz = 915e6
        assert not caplog.records
    with open_radio(uri, permit=TransmitPermit(800e6, 3e9, 10.0)) as radio:
        monkeypatch.setattr(Unit, "virtual", False)
        radio.lo_hz = 920e6
        assert not caplog.records
        radio.lo_hz = 2450e6
        radio.lo_hz = 2450e6
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{uri} (serial virtual-00): moving the transmit LO to 2450 MHz calibrates the transmitter")


def test_an_exception_silences(uri: str, plutos: Plutos) -> None:
    with pytest.raises(RuntimeError), open_radio(uri, permit=PERMIT) as radio:
        tuned(radio).transmit(probe_wave(), cyclic=True)
        assert not silent(plutos)
        raise RuntimeError
    assert silent(plutos)
