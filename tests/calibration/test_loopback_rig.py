"""Rigs of simulated radios: who is heard when, and how their carriers move while time passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from radio.errors import InputError
from radio.fading import Fading
from radio.impairments import Impairments
from radio.interference import Interferer
from radio.surroundings import Surroundings, from_profile
from radio.tone import phasor

WAVE = phasor(1 / 64, 1024)


def quiet(devices: int = 2, **settings: float) -> Surroundings:
    """Static gains, no noise, ideal converters."""
    return Surroundings(
        Fading(devices, 3, "static"), 0.0, 3, dac_bits=None, adc_bits=None, impairments=Impairments(**settings)
    )


def test_what_is_heard_and_the_radio_time_it_takes() -> None:
    rig = LoopbackRig(quiet())
    gain = 10 ** (rig.receiver.receive_gain_db / 20)
    assert not rig.idle(500).any()
    one = rig.hear({1: WAVE}, 1024)
    assert np.allclose(one, gain * rig.medium.gains[1] * WAVE, atol=1e-12)
    assert rig.medium.on_air == ()
    rig.wait(2.5)
    assert rig.medium.clock == 500 + 1024 + 2_500_000
    assert rig.radio_s == pytest.approx(1524e-6 + 2.5)


def test_a_drifting_carrier_is_where_its_offset_and_drift_say_after_a_wait() -> None:
    """phi(t) = phi(0) + 2 pi (f t + d t^2 / 2), so the frequency at t is f + d t and the phase is that of the integral."""
    rig = LoopbackRig(quiet(1, drift_ppm_per_s=0.02, oscillator_ppm=1.0))
    rate, n = rig.rate_sps, 1000
    steady = np.ones(16, dtype=np.complex128)  # no tone: the sampling clocks do not matter
    with rig.on_air({0: steady}):
        phases, times = [], []
        for seconds in (0.0, 1.0, 30.0, 300.0):
            rig.wait(seconds)
            times.append((rig.medium.clock + np.arange(n)) / rate)
            phases.append(np.unwrap(np.angle(rig.more(n))))
    middles = np.array([t.mean() for t in times])
    slopes = np.array([np.polyfit(t - t.mean(), p, 1)[0] / (2 * np.pi) for t, p in zip(times, phases, strict=True)])
    drift, offset = np.polyfit(middles, slopes, 1)
    assert offset == pytest.approx(rig.medium.offsets_hz[0], abs=1e-3) and abs(drift) > 0.1
    assert np.allclose(slopes, offset + drift * middles, atol=1e-3)
    # The phase itself, from the ends of a wait of a second, without counting turns.
    moved = (phases[1].mean() - phases[0].mean()) / (2 * np.pi)
    a, b = middles[:2]
    turns = offset * (b - a) + 0.5 * drift * (b**2 - a**2)
    assert abs((moved - turns + 0.5) % 1.0 - 0.5) < 2e-3


@pytest.mark.parametrize("said", [True, False])
def test_clocks_may_be_said_to_be_what_they_are_not(said: bool) -> None:
    bench = from_profile("pluto-bench", 2, 5, shared_clock=not said)
    assert LoopbackRig(bench).shared_clock is not said
    rig = LoopbackRig(bench, shared_clock=said)
    assert rig.shared_clock is said and rig.offset_max_hz >= 2e-6 * 25.0 * 915e6
    assert rig.facts()["clock"] == ("shared" if said else "free")
    assert rig.guard_samples >= 0.05 * 1e6 and rig.start_lag_s == 0.05


def test_a_receiver_that_is_tuned_elsewhere_finds_interferers_elsewhere() -> None:
    rig = LoopbackRig(quiet())
    rig.medium.interferers.append(Interferer(0.1, 200e3))
    gain = 10 ** (rig.receiver.receive_gain_db / 20)
    rig.receiver.lo_hz += 150e3
    assert np.allclose(rig.idle(640), 0.1 * gain * phasor(0.05, 640))
    rig.receiver.lo_hz += 550e3  # now 500 kHz away: at the edge of the band
    assert not rig.idle(640).any()


def test_a_wait_backwards_is_refused() -> None:
    with pytest.raises(InputError, match=r"seconds is -1"):
        LoopbackRig(quiet()).wait(-1.0)


def test_loopback_that_was_said_nothing_of_is_shared_without_offsets() -> None:
    assert LoopbackRig(quiet()).shared_clock
    assert LoopbackRig(replace(quiet(), offset_hz=1.0)).shared_clock  # what a run without impairments has
    assert not LoopbackRig(replace(quiet(), offset_hz=3.0)).shared_clock
    assert not LoopbackRig(quiet(2, oscillator_ppm=1.0)).shared_clock
