"""The recording receiver: what it keeps, and that it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.marker import Marker, mark
from radio.medium import Medium
from radio.recorder import RecordingRadio
from radio.recording import Mark, Segment


def bench() -> tuple[Medium, RecordingRadio]:
    medium = Medium(Fading(1, 4, "static"), 4, noise_variance=1e-3)
    return medium, RecordingRadio(LoopbackRadio(medium), now=lambda: "then")


def test_a_recording_holds_what_was_heard_and_when() -> None:
    medium, radio = bench()
    radio.receive(10)  # before: not recorded
    radio.start()
    first, second = radio.receive(100), radio.receive(50)
    medium.begin(0, "sound")  # the clock starts again: another segment
    third = radio.receive(30)
    radio.receive_gain_db = -3.0  # as does another gain
    fourth = radio.receive(20)
    radio.lo_hz = 868e6
    fifth = radio.receive(5)
    done = radio.finish({"slot": np.int64(3)})
    assert done is not None and not radio.recording
    assert np.array_equal(done.samples, np.concatenate([first, second, third, fourth, fifth]))
    assert done.segments == (
        Segment(0, 10, 915e6, 0.0, "then"),
        Segment(150, 0, 915e6, 0.0, "then"),
        Segment(180, 30, 915e6, -3.0, "then"),
        Segment(200, 50, 868e6, -3.0, "then"),
    )
    assert (done.rate_sps, done.full_scale, done.hardware, done.facts) == (
        1e6,
        2047,
        "loopback (simulated)",
        {"slot": 3},
    )
    assert [(m.label, m.start, m.length) for m in done.marks] == [
        ("slot", 0, 100), ("slot", 100, 50), ("slot", 150, 30), ("slot", 180, 20), ("slot", 200, 5),
    ]  # fmt: skip
    radio.start()
    assert radio.finish() is None  # nothing was received


def test_marks_are_placed_by_the_receivers_clock() -> None:
    medium, radio = bench()
    assert isinstance(radio, Marker)
    radio.start()
    radio.receive(100)
    mark(radio, "idle", radio.clock_samples - 100, 100)
    radio.receive(40)
    mark(radio, "pilot", 110, 30, device=np.int64(2), active=np.array([0, 2]))
    medium.begin(0, "sound")  # clocks 0 to 139 come once more: the later reception is meant
    radio.receive(40)
    mark(radio, "payload", 0, 40)
    done = radio.finish()
    assert done is not None
    assert done.marks == (
        Mark("idle", 0, 100),
        Mark("pilot", 110, 30, {"device": 2, "active": [0, 2]}),
        Mark("payload", 140, 40),
    )
    radio.start()
    radio.receive(10)
    with pytest.raises(ValueError, match="nothing was received"):
        radio.mark("idle", 5000, 10)


def test_marks_cost_nothing_where_nobody_records() -> None:
    medium, radio = bench()
    mark(LoopbackRadio(medium), "idle", 0, 10)
    radio.mark("idle", 12345, 10)  # not recording


def test_recording_changes_nothing() -> None:
    heard = []
    for record in (False, True):
        _, radio = bench()
        if record:
            radio.start()
        got = radio.receive(200)
        got_again = got.copy()
        got[:] = 0.0  # the receiver may do what it likes with its samples
        heard.append(got_again)
        if record:
            done = radio.finish()
            assert done is not None and np.array_equal(done.samples, got_again)
    assert np.array_equal(*heard)


def test_it_is_the_radio_it_wraps() -> None:
    medium, _ = bench()
    inner = LoopbackRadio(medium, 0)
    radio = RecordingRadio(inner)
    radio.rate_sps, radio.lo_hz, radio.transmit_gain_db, radio.receive_gain_db = 2e6, 868e6, -6.0, 3.0
    assert (inner.rate_sps, inner.lo_hz, inner.transmit_gain_db, inner.receive_gain_db) == (2e6, 868e6, -6.0, 3.0)
    assert (radio.rate_sps, radio.lo_hz, radio.transmit_gain_db, radio.receive_gain_db) == (2e6, 868e6, -6.0, 3.0)
    radio.transmit(np.ones(4, dtype=np.complex128), cyclic=True)
    assert medium.on_air == (0,)
    radio.mute()
    assert medium.on_air == ()
    radio.close()
    with pytest.raises(InputError, match="closed"):
        radio.transmit(np.ones(4, dtype=np.complex128))


def test_one_recording_has_one_rate() -> None:
    _, radio = bench()
    radio.start()
    radio.receive(10)
    radio.rate_sps = 2e6
    with pytest.raises(InputError, match="sampling rate changed from 1e\\+06 to 2e\\+06"):
        radio.receive(10)
