"""The rig of a station, on virtual Plutos: the driver that talks to them is the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from radio.radio import clock_epoch
from radio.tone import phasor

pytestmark = pytest.mark.libiio
WAVE = phasor(16 / 1024, 1024)


def test_what_is_heard_and_the_radio_time_it_takes(virtual: Callable[..., Any]) -> None:
    rig, plutos = virtual(3, clock="shared")
    assert rig.shared_clock and rig.band_hz == (910e6, 920e6) and rig.start_lag_s == 0.05
    assert rig.offset_max_hz == pytest.approx(2 * 25e-6 * 915e6)  # is searched for, whatever is said of the clocks
    assert np.abs(rig.idle(1000)).std() < 0.1
    heard = rig.hear({1: WAVE}, 4096)
    assert abs(np.vdot(np.tile(WAVE, 4), heard)) / 4096 > 0.1
    assert plutos.units[1].transmit_buffer is None
    # A ring of 2 blocks and one more are stale.
    assert rig.radio_s == pytest.approx((4 + 3 + np.ceil((rig.guard_samples + 4096) / 2048)) * 2048e-6)
    assert rig.facts()["receiver"]["serial"] == "virtual-02" and rig.names[0] == "device-0"


def test_time_passes_while_a_rig_waits_and_the_carriers_move_on(virtual: Callable[..., Any]) -> None:
    """A unit's crystal wanders by |drift| T / 2 pi about its offset; two pilots minutes apart find it elsewhere."""
    rig, plutos = virtual(2, clock="free")
    clock, references = plutos.units[0].clock, plutos.units[0].air.references

    def offset_hz() -> float:
        """Of the tone as sent: one oscillator for carrier and samples."""
        heard = rig.hear({0: WAVE}, 1 << 15)
        assert np.isfinite(heard).all()
        middle = np.fft.fftfreq(1 << 21, 1e-6)[np.argmax(np.abs(np.fft.fft(heard - heard.mean(), 1 << 21)))]
        return float(middle - 16 / 1024 * 1e6)

    for seconds in (0.0, 100.0, 100.0):
        before, epoch = clock.now, clock_epoch(rig.receiver)
        rig.wait(seconds)
        assert clock.now - before == pytest.approx(seconds, abs=1e-5)
        found = offset_hz()
        one, two = (reference.ppm(clock.now) for reference in references)
        assert found == pytest.approx((one - two) * 1e-6 * (915e6 + 15625), abs=3.0)
        assert (clock_epoch(rig.receiver) > epoch) == (seconds > 0.0) or epoch == 0  # the receiver has lost count
    assert rig.radio_s > 200.0


def test_a_wait_with_a_tone_on_the_air_loses_count_but_no_samples(virtual: Callable[..., Any]) -> None:
    rig, _ = virtual(2, clock="shared")
    with rig.on_air({0: WAVE}):
        first = rig.more(2048, guard=rig.guard_samples)
        rig.wait(5.0)
        later = rig.more(2048)
    assert np.isfinite(first).all() and np.isfinite(later).all()
    assert np.abs(later).mean() == pytest.approx(np.abs(first).mean(), rel=0.02)


def test_units_in_real_time_are_waited_for(virtual: Callable[..., Any]) -> None:
    rig, plutos = virtual(2, realtime=True)
    before = plutos.units[0].clock.now
    rig.wait(0.05)
    assert plutos.units[0].clock.now - before >= 0.05
