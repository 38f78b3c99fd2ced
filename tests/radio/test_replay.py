"""A recording, replayed through the receivers that heard it, gives what it gave."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radio.air import ChannelState, Received
from radio.coherent import CoherentAir
from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.medium import Interferer, Medium
from radio.modes import ModeName, open_air
from radio.radio import Radio
from radio.recorder import RecordingRadio
from radio.recording import DataType, Recording, Segment, read_recording, write_recording
from radio.replay import ReplayRadio, SilentRadio

DEVICES, PAYLOADS = 3, np.array([[0.5, -0.25], [-1.0, 0.75], [0.3, 0.1]])
SETTINGS: dict[str, Any] = {
    "window": 1024,
    "pilot_window": 512,
    "pilot_repeats": 2,
    "guard_samples": 40,
    "offset_prior_hz": 20.0,
    "receive_gain_db": -14.0,
}


def heard(adc_bits: int | None, interference: float = 0.0) -> tuple[Recording, ChannelState, Received]:
    """One round on a simulated bench, recorded."""
    medium = Medium(
        Fading(DEVICES, 6), 6, noise_variance=1e-2, adc=Converter(adc_bits), offset_hz=20.0, timing_samples=8.0
    )
    radio = RecordingRadio(LoopbackRadio(medium))
    transmitters = [LoopbackRadio(medium, k) for k in range(DEVICES)]
    with CoherentAir(transmitters, radio, **SETTINGS, adc_bits=adc_bits, on_phase=medium.begin) as air:
        radio.start()
        state = air.sound(0)
        if interference:
            medium.interferers.append(Interferer(interference, 2.1e5))
        received = air.aggregate(0, PAYLOADS, air.plan(state, 1.0))
    recording = radio.finish()
    assert recording is not None
    return recording, state, received


def replayed(recording: Recording, adc_bits: int | None = 12) -> tuple[ChannelState, Received]:
    silent = [SilentRadio() for _ in range(DEVICES)]
    with CoherentAir(silent, ReplayRadio(recording), **SETTINGS, adc_bits=adc_bits) as air:
        state = air.sound(0)
        return state, air.aggregate(0, PAYLOADS, air.plan(state, 1.0))


def assert_same(a: Any, b: Any) -> None:
    """Bit for bit, NaN for NaN."""
    for one in dataclasses.fields(a):
        x, y = getattr(a, one.name), getattr(b, one.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), one.name
        else:
            assert x == y, one.name


@pytest.mark.parametrize("datatype", ["ci16_le", "cf32_le"])
@pytest.mark.parametrize("interference", [0.0, 3.0])
def test_a_replay_gives_the_same_channel_and_the_same_sums(
    tmp_path: Path, datatype: DataType, interference: float
) -> None:
    recording, state, received = heard(12, interference)
    assert received.erased == (interference > 0)
    for kept in (recording, read_recording(write_recording(tmp_path / "a", recording, datatype))):
        again_state, again = replayed(kept)
        assert_same(again_state, state)
        assert_same(again, received)


@pytest.mark.parametrize(("datatype", "step"), [("ci16_le", 2.0**-15), ("cf32_le", 2.0**-24)])
def test_without_converter_a_replay_is_as_exact_as_the_type(tmp_path: Path, datatype: DataType, step: float) -> None:
    """An error of at most a step in every rail moves a mean of samples, and so a gain, by no more than sqrt(2) steps."""
    recording, state, received = heard(None)
    again_state, again = replayed(read_recording(write_recording(tmp_path / "a", recording, datatype)), None)
    assert np.abs(again_state.gains - state.gains).max() <= 3 * step
    # eta is the smallest gain; sums are mean / eta, over gains that changed by as much
    reach = DEVICES * 6 * step / np.abs(state.gains).min()
    assert np.abs(again.total - received.total).max() <= reach


def small(**changes: Any) -> Recording:
    known: dict[str, Any] = {"rate_sps": 1e6, "segments": (Segment(0, 50, 915e6, -3.0), Segment(60, 10, 868e6, -3.0))}
    return Recording(np.arange(100) / 100 + 0j, **(known | changes))


def test_the_clock_is_that_of_the_recording() -> None:
    radio = ReplayRadio(small())
    assert (radio.clock_samples, radio.lo_hz, radio.rate_sps, radio.receive_gain_db) == (50, 915e6, 1e6, -3.0)
    assert np.array_equal(radio.receive(20), np.arange(20) / 100)
    assert radio.clock_samples == 70
    radio.receive(40)
    assert radio.clock_samples == 110
    radio.lo_hz = 868e6
    assert np.array_equal(radio.receive(40), np.arange(60, 100) / 100)
    assert radio.clock_samples == 50
    with pytest.raises(InputError, match="ends after 100"):
        radio.receive(1)


def test_what_was_not_recorded_is_refused() -> None:
    radio = ReplayRadio(small())
    with pytest.raises(InputError, match="interrupted at 60"):
        radio.receive(61)
    with pytest.raises(InputError, match="n is 0"):
        radio.receive(0)
    for name, value in (("receive_gain_db", 0.0), ("lo_hz", 1e9), ("rate_sps", 2e6)):
        radio = ReplayRadio(small())
        setattr(radio, name, value)
        with pytest.raises(InputError, match=f"{name} is {value}, but was .* replay with {name} ="):
            radio.receive(1)
    radio = ReplayRadio(small())
    radio.close()
    with pytest.raises(InputError, match="closed"):
        radio.receive(1)
    with pytest.raises(InputError, match="cannot transmit"):
        radio.transmit(np.ones(3, dtype=np.complex128))
    with pytest.raises(InputError, match="cannot receive"):
        SilentRadio().receive(1)


def test_samples_of_a_replay_are_the_receivers_own() -> None:
    recording = small()
    ReplayRadio(recording).receive(10)[:] = 5.0
    assert recording.samples[3] == 0.03


@pytest.mark.parametrize("mode", ["tdma", "coherent", "energy", "vote"])
@pytest.mark.parametrize("payload", [0.5, -0.5])
def test_a_replay_needs_no_payloads_in_any_mode(mode: ModeName, payload: float) -> None:
    """Energy mode sends nothing in one of its slots where all payloads have one sign: the receiver must not depend on it."""
    settings: dict[str, Any] = {"mode": mode, "window": 512, "snr_db": 45.0, "fading": "static", "timing_samples": 8}
    radios: list[RecordingRadio] = []

    def record(receiver: Radio) -> Radio:
        radios.append(RecordingRadio(receiver))
        return radios[0]

    air = open_air(DEVICES, 6, listen=record, **settings)
    radios[0].start()
    state = air.sound(0)
    plan = air.mode.plan(state, 1.0)
    received = air.aggregate(0, np.full((DEVICES, 2), payload), plan)
    recording = radios[0].finish()
    assert recording is not None and not received.erased
    assert {m.facts.get("device", DEVICES) for m in recording.marks if m.label == "payload"} == (
        {0, 1, 2} if mode == "tdma" else {DEVICES}
    )
    again = open_air(DEVICES, 6, listen=lambda _: ReplayRadio(recording), **settings)
    assert_same(again.sound(0), state)
    repeated = again.aggregate(0, np.zeros((DEVICES, 2)), plan)
    for name in ("total", "variance", "erased", "reason"):
        np.testing.assert_array_equal(getattr(repeated, name), getattr(received, name))
