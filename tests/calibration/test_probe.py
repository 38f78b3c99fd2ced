"""A tone and what comes with it: synthetic captures with known mixers, and what is wrong with a capture."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from calibration.finding import Limit
from calibration.lines import amplitude_bound, frequency_bound
from calibration.loopback_rig import LoopbackRig
from calibration.mixer_ratios import leakage, receive_image, transmit_image
from calibration.probe import (
    PROBLEMS,
    Floor,
    Probe,
    Reading,
    bound_db,
    floor_findings,
    floor_of,
    in_db,
    listen,
    probe_for,
    read,
    trouble,
)
from radio.fading import Fading
from radio.frontend import Mixer
from radio.impairments import Impairments
from radio.interference import Interferer
from radio.streams import stream
from radio.surroundings import Surroundings, from_profile

N, RATE, LO = 4096, 1e6, 915e6
PROBE = Probe(N, 411 / N)
TRANSMIT, RECEIVE = Mixer(0.3, 2.0, 0.004 + 0.002j), Mixer(-0.2, 1.0, 0.01j)
OFFSET_HZ, VARIANCE = 7321.0, 1e-4


def capture(seed: int, amplitude: float = 0.5, offset_hz: float = OFFSET_HZ, variance: float = VARIANCE) -> np.ndarray:
    """Mixer, carrier, channel, noise, mixer."""
    draws, times = stream(seed, "probe"), np.arange(N)
    sent = TRANSMIT.mix(PROBE.wave(amplitude) * np.exp(2j * np.pi * draws.random()))
    carrier = np.exp(2j * np.pi * (offset_hz / RATE * times + draws.random()))
    noise = draws.standard_normal((N, 2)) @ np.array([1.0, 1j]) * math.sqrt(variance / 2.0)
    return np.asarray(RECEIVE.mix(0.6 * carrier * sent + noise))


def reading_of(seed: int, **changes: float) -> Reading:
    variance = changes.get("variance", VARIANCE)
    return read(capture(seed, **changes), PROBE, rate_sps=RATE, lo_hz=1e15, noise_variance=variance, offset_max_hz=46e3)


def test_everything_is_found_and_covered() -> None:
    readings = [reading_of(seed) for seed in range(200)]
    assert all(one.problem == "" and one.apart for one in readings)
    level = 0.3 * abs(TRANSMIT.mu * RECEIVE.mu)
    errors = np.array([one.level - level for one in readings])
    bound = amplitude_bound(VARIANCE, N)
    assert errors.std() == pytest.approx(bound, rel=0.15) and abs(errors.mean()) < 0.3 * bound
    assert np.mean(np.abs(errors) < 1.96 * np.array([one.standard_error for one in readings])) > 0.9
    offsets = np.array([one.offset_hz - OFFSET_HZ for one in readings])
    assert offsets.std() == pytest.approx(frequency_bound(VARIANCE, level, N) * RATE, rel=0.15)
    assert np.mean(np.abs(offsets) < 1.96 * np.array([one.offset_error_hz for one in readings])) > 0.9
    for made, truth in (
        ([transmit_image(one) for one in readings], abs(TRANSMIT.nu / TRANSMIT.mu)),
        ([leakage(one, 0.5) for one in readings], abs(TRANSMIT.leak / TRANSMIT.mu)),
        ([receive_image([one]) for one in readings], abs(RECEIVE.nu / RECEIVE.mu)),
    ):
        stated = made[0].standard_error
        estimates = [in_db(one.magnitude, one.standard_error) for one in made]
        assert all(one is not None for one in estimates)
        covered = [one.covers(20 * math.log10(truth)) for one in estimates if one is not None]
        assert np.mean(covered) > 0.9
        assert np.std([one.magnitude for one in made]) == pytest.approx(stated, rel=0.2)
    together = receive_image(readings[:16])
    assert together.standard_error == pytest.approx(receive_image(readings[:1]).standard_error / 4, rel=0.05)


def test_phases_have_the_error_of_what_is_next_to_the_tone() -> None:
    """Phase noise of a loop: (1 + j theta), which shakes no amplitude and turns as much as its density at the tone says."""
    spread, corner = 0.05, 2e4
    decay = math.exp(-2 * math.pi * corner / RATE)
    phases, stated, levels = [], [], []
    for seed in range(150):
        draws = stream(seed, "phase noise")
        steps = spread * math.sqrt(1 - decay**2) * draws.standard_normal(N + 500)
        theta = np.empty(N + 500)
        state = 0.0
        for i, step in enumerate(steps):
            state = decay * state + step
            theta[i] = state
        noise = draws.standard_normal((N, 2)) @ np.array([1.0, 1j]) * math.sqrt(VARIANCE / 2.0)
        clean = 0.3 * PROBE.wave() * np.exp(1j * theta[500:])
        one = read(clean + noise, PROBE, rate_sps=RATE, lo_hz=LO, noise_variance=VARIANCE, offset_max_hz=46e3)
        middle = 411 / N * (N - 1) / 2.0
        phases.append(np.angle(one.amplitude * np.exp(-2j * np.pi * middle)))
        stated.append(one.phase_error)
        levels.append(one.standard_error)
    assert np.std(phases) == pytest.approx(np.mean(stated), rel=0.25)
    assert np.mean(stated) > 2.0 * amplitude_bound(VARIANCE, N) / 0.3


def test_without_an_offset_the_sums_are_seen() -> None:
    one = reading_of(1, offset_hz=0.0)
    assert one.problem == "" and not one.apart and one.leak == 0.0 and one.transmit_image == 0.0
    assert abs(one.receive_image) < 0.3 * (abs(TRANSMIT.nu) + abs(RECEIVE.nu)) + 1e-3


def test_weak_levels_are_bounded_and_not_stated() -> None:
    assert in_db(1e-3, 3e-4) is None and in_db(1e-3, 1e-4) is not None
    draws = stream(3, "weak").standard_normal((4000, 2)) @ np.array([1.0, 1j])
    for truth in (0.0, 1.0, 3.0):
        below = [20 * math.log10(max(truth, 1e-9)) < bound_db(abs(truth + z), 1.0) for z in draws]
        assert np.mean(below) > 0.96


def test_a_probe_is_off_every_collision() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 1, 3))
    probe = probe_for(rig)
    assert math.gcd(round(probe.cycles * probe.window), probe.window) == 1
    assert probe.cycles * RATE > 2.2 * rig.offset_max_hz
    rig.offset_max_hz = 0.0
    assert probe_for(rig, 4096).cycles == pytest.approx(257 / 16384, rel=0.05)


@pytest.mark.parametrize(
    ("problem", "samples"),
    [
        ("silent", 1e-4 * np.ones(N, dtype=complex)),
        ("saturated", np.where(np.arange(N) % 4 < 2, 1.0, -0.3) + 0j),
        ("lost", np.full(N, complex(math.nan, math.nan))),
    ],
)
def test_unusable_captures_are_named(problem: str, samples: np.ndarray) -> None:
    one = read(samples, PROBE, rate_sps=RATE, lo_hz=LO, noise_variance=VARIANCE, offset_max_hz=46e3)
    assert one.problem == problem and not one.usable
    told = trouble("step", "device-0", problem)
    assert told.verdict == "fail" and told.advice == PROBLEMS[problem]


def quiet(noise: float = 1e-4) -> LoopbackRig:
    return LoopbackRig(Surroundings(Fading(1, 3, "static"), noise, 3, impairments=Impairments(dc_offset_dbfs=-30.0)))


def test_the_idle_channel_and_what_is_on_it() -> None:
    rig = quiet()
    rig.medium.noise_variance = 1e-4
    gain = 10 ** (rig.receiver.receive_gain_db / 10)
    floor = floor_of(rig, 16384)
    assert floor.noise_variance == pytest.approx(1e-4 * gain, rel=0.03) and floor.problem == ""
    assert abs(floor.dc) == pytest.approx(10**-1.5, abs=4 * floor.dc_error)
    assert floor_findings("step", floor) == []
    rig.medium.interferers.append(Interferer(0.01, 123e3))
    disturbed = floor_of(rig)
    (told,) = floor_findings("step", disturbed)
    assert disturbed.problem == "interference" and "+123.0 kHz" in told.quantity and told.advice
    assert disturbed.line_dbfs == pytest.approx(-40 + 10 * math.log10(gain), abs=1.0)


def test_interference_while_a_tone_is_on_is_named_and_still_read() -> None:
    rig = quiet()
    floor = floor_of(rig)
    rig.medium.interferers.append(Interferer(0.07, -211e3))
    reading = listen(rig, 0, probe_for(rig), floor)
    assert reading.problem == "interference" and reading.usable
    assert trouble("step", "device-0", "interference").verdict == "warn"


def test_a_silent_device_is_not_confused_with_what_was_there_before() -> None:
    rig = quiet()
    rig.medium.gains[0] = 0.0
    probe = probe_for(rig)
    rig.medium.interferers.append(Interferer(0.05, probe.cycles * 1e6 + 3e3))
    assert listen(rig, 0, probe, floor_of(rig)).problem == "silent"


def test_bursts_and_losses_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = quiet()
    floor, calls, heard = floor_of(rig), [], rig._hear

    def losing(n: int, label: str, guard: int, **facts: object) -> np.ndarray:
        calls.append(n)
        samples = heard(n, label, guard, **facts)
        return np.full(n, complex(math.nan, math.nan)) if len(calls) == 1 else samples

    monkeypatch.setattr(rig, "_hear", losing)
    assert listen(rig, 0, probe_for(rig), floor).problem == "" and len(calls) == 2
    monkeypatch.setattr(rig, "_hear", lambda n, *_, **__: np.full(n, complex(math.nan, math.nan)))
    assert listen(rig, 0, probe_for(rig), floor).problem == "lost"
    lost = floor_of(rig)
    assert lost.problem == "lost" and floor_findings("step", lost)[0].verdict == "fail"


def test_floor_is_no_lower_than_the_converter() -> None:
    rig = LoopbackRig(Surroundings(Fading(1, 3, "static"), 0.0, 3))
    assert floor_of(rig).noise_variance == pytest.approx((1 / 2047) ** 2 / 6)
    assert isinstance(replace(floor_of(rig), problem=""), Floor) and str(Limit(high=3.0)) == "at most 3"
