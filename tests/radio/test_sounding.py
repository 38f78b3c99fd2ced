"""A channel estimate that would not hold is refused, with its reason; one that holds is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from radio.coherent import CoherentAir
from radio.errors import InputError
from radio.fading import Fading
from radio.impairments import Impairments
from radio.loopback import LoopbackRadio
from radio.medium import Interferer, Medium
from radio.streams import stream
from radio.surroundings import from_profile

DEVICES = 4


def bench(sample_snr_db: float = 20.0, window: int = 1024, *, held: bool = False, **impairments: Any) -> CoherentAir:
    medium = Medium(
        Fading(DEVICES, 3, "static"),
        3,
        noise_variance=10 ** (-sample_snr_db / 10),
        impairments=Impairments(**impairments),
    )
    late = math.ceil(medium.impairments.start_jitter_s * medium.rate_sps) + 32
    return air_on(medium, window, late if held else None, late)


def air_on(medium: Medium, window: int, hold_samples: int | None, guard: int = 32, **settings: Any) -> CoherentAir:
    return CoherentAir(
        [LoopbackRadio(medium, k) for k in range(medium.devices)],
        LoopbackRadio(medium),
        window=window,
        pilot_repeats=2,
        guard_samples=32 if hold_samples is not None else guard,
        hold_samples=hold_samples,
        receive_gain_db=-15.0,
        on_phase=medium.begin,
        **settings,
    )


def play(air: CoherentAir, rounds: int = 12, slots: int = 1) -> tuple[np.ndarray, list[str]]:
    """Errors of the sums over the active set, and the reasons of erasures."""
    draws, errors, reasons = stream(1, "play"), [], []
    for t in range(rounds):
        plan = air.plan(air.sound(t), 1.0)
        payloads = draws.uniform(-1, 1, (air.devices, slots))
        got = air.aggregate(t, payloads, plan)
        if got.erased:
            assert np.isnan(got.total).all()
            reasons.append(got.reason)
        else:
            errors.append(got.total - payloads[plan.active].sum(axis=0))
    return np.array(errors), reasons


def test_quiet_rounds_say_how_sure_they_are() -> None:
    air = bench()
    errors, reasons = play(air, 30)
    assert not reasons and np.sqrt(np.mean(errors**2)) < 0.02
    sounding = air.sounding
    assert sounding is not None and not sounding.reason and sounding.faults == ("",) * DEVICES
    # Two pilots of 1024 samples at 20 dB: each phase errs by 1/sqrt(2 * 1024 * 100), their difference by sqrt(2) more.
    assert sounding.phase_change_standard_error_deg == pytest.approx(np.degrees(1 / np.sqrt(1024 * 100)), rel=0.1)
    assert (np.abs(sounding.phase_change_deg) < 5 * sounding.phase_change_standard_error_deg).all()


@pytest.mark.parametrize("sample_snr_db", [30.0, 10.0, -5.0])
@pytest.mark.parametrize("held", [False, True])
def test_free_running_oscillators_are_refused(sample_snr_db: float, held: bool) -> None:
    air = bench(sample_snr_db, held=held, oscillator_ppm=20.0)
    errors, reasons = play(air, 5)
    assert errors.size == 0 and len(reasons) == 5
    for reason in reasons:
        assert (
            "no shared clock: its phase moved by" in reason and "reference clock" in reason and "energy mode" in reason
        )
    assert air.sounding is not None and air.sounding.clock_moves and not air.sounding.state.quality.any()


@pytest.mark.parametrize("ppm", [0.001, 0.01, 0.1])
def test_small_offsets_are_either_refused_or_harmless(ppm: float) -> None:
    """0.01 ppm is 9 Hz: 14 degrees between pilots 4 ms apart."""
    errors, reasons = play(bench(30.0, oscillator_ppm=ppm), 20)
    assert len(reasons) == (20 if ppm == 0.1 else 0 if ppm == 0.001 else len(reasons))
    if errors.size:
        assert np.sqrt(np.mean(errors**2)) < 0.1 * DEVICES


def test_starts_that_are_not_held_are_refused_and_holding_them_helps() -> None:
    _, reasons = play(bench(start_jitter_s=0.002))
    assert len(reasons) == 12 and all(
        "no shared clock" in reason and "hold their starts" in reason for reason in reasons
    )
    errors, reasons = play(bench(held=True, start_jitter_s=0.002), slots=2)
    assert not reasons and np.sqrt(np.mean(errors**2)) < 0.02


def test_offset_of_each_device_is_named() -> None:
    medium = Medium(Fading(3, 3, "static"), 3, noise_variance=1e-2, impairments=Impairments(oscillator_ppm=20.0))
    air = air_on(medium, 1024, None)
    air.sound(0)
    assert air.sounding is not None
    for k, fault in enumerate(air.sounding.faults):
        said = float(fault.split("its carrier is ")[1].split(" Hz")[0])
        assert said == pytest.approx(medium.offsets_hz[k], abs=20.0)


def test_one_loose_reference_cable_leaves_the_others() -> None:
    medium = Medium(Fading(5, 3, "static"), 3, noise_variance=1e-2)
    air = air_on(medium, 1024, None)

    def loose(round_index: int, phase: str) -> None:
        medium.begin(round_index, phase)
        medium._oscillators.offsets_hz = np.array([0.0, 0.0, 3000.0, 0.0, 0.0])

    air._on_phase = loose
    state = air.sound(0)
    assert state.quality.tolist() == [True, True, False, True, True]
    assert air.sounding is not None and air.sounding.faults[2].startswith("no shared clock")
    got = air.aggregate(0, np.ones((5, 1)), air.plan(state, 1.0))
    assert not got.erased and got.total[0] == pytest.approx(4.0, abs=0.05)


def test_thousands_of_hertz_are_acquired_refined_and_turned_back_where_asked() -> None:
    """A trigger holds the starts and the turn-around is short: the search makes coherent aggregation of free oscillators
    possible, phase errors and all."""
    impairments = Impairments(oscillator_ppm=10.0)
    medium = Medium(Fading(DEVICES, 3, "static"), 3, noise_variance=1e-2, impairments=impairments)
    air = air_on(medium, 1024, None, offset_range_hz=2.5e4)
    errors, reasons = play(air, 20)
    assert not reasons and np.abs(medium.offsets_hz).max() > 2000.0
    state = air.sound(20)
    assert air.sounding is not None
    error = state.offset_hz - medium.offsets_hz
    assert (np.abs(error) < 6 * np.sqrt(air.sounding.offset_variance_hz2)).all() and np.abs(error).max() < 1.0
    assert np.sqrt(np.mean(errors**2)) < 0.05 * DEVICES


def test_automatic_gain_is_noticed() -> None:
    air = bench(20.0, 4096, agc=True, agc_target_dbfs=-20.0, agc_time_s=2e-3)
    errors, reasons = play(air, 4)
    assert errors.size == 0 and len(reasons) == 4
    assert any(word in " ".join(reasons) for word in ("gain", "steady", "shared clock"))


def test_dc_offset_and_image_are_measured_and_do_not_reach_the_sum() -> None:
    air = bench(40.0, dc_offset_dbfs=-25.0, iq_gain_db=0.5, iq_phase_deg=2.0, lo_leakage_dbfs=-40.0)
    errors, reasons = play(air, 20)
    assert not reasons and np.sqrt(np.mean(errors**2)) < 3e-3
    assert air.sounding is not None
    assert 20 * math.log10(abs(air.sounding.dc)) == pytest.approx(-25.0, abs=0.2)
    assert (air.sounding.image_db > -50.0).all() and (air.sounding.image_db < -20.0).all()


@pytest.mark.parametrize("sample_snr_db", [40.0, 55.0])
def test_the_image_says_how_sure_it_is(sample_snr_db: float) -> None:
    """Mixers stand still, so their image is the same in every round; a pilot of another length tells it as well."""
    impairments = Impairments(iq_gain_db=0.3, iq_phase_deg=1.0)
    medium = Medium(
        Fading(DEVICES, 3, "static"), 3, noise_variance=10 ** (-sample_snr_db / 10), impairments=impairments
    )
    found = {}
    for pilot_window in (1024, 777):
        air = air_on(medium, 1024, None, pilot_window=pilot_window)
        rounds = []
        for t in range(40):
            air.sound(t)
            assert air.sounding is not None and air.sounding.image_found.all()
            rounds.append((air.sounding.image_db, air.sounding.image_standard_error_db))
        values, errors = np.moveaxis(np.array(rounds), 1, 0)
        assert np.sqrt((values.var(axis=0) / errors.mean(axis=0) ** 2).mean()) == pytest.approx(1.0, abs=0.2)
        found[pilot_window] = values.mean(axis=0), errors.mean(axis=0) / np.sqrt(40)
    apart, error = found[1024][0] - found[777][0], np.hypot(found[1024][1], found[777][1])
    assert (np.abs(apart) < 5 * error + 0.02).all()
    quiet = bench(20.0)
    quiet.sound(0)
    assert quiet.sounding is not None and not quiet.sounding.image_found.any()


def test_bursts_in_the_air_slot_are_erased_and_what_is_left_is_right() -> None:
    """Bursts 5 dB over the noise for a tenth of a window: 0.8 dB of the mean residual."""
    quiet, _ = play(bench(0.0, 4096), 40)
    loud = 10 ** (5 / 20)
    air = bench(0.0, 4096, burst_rate_hz=30.0, burst_s=4e-4, burst_amplitude=loud)
    errors, reasons = play(air, 40)
    assert len(reasons) > 2 and all("burst" in reason or "interference" in reason for reason in reasons)
    assert np.mean(errors**2) < 1.5 * np.mean(quiet**2)


def test_interference_in_a_pilot_is_not_called_a_clock() -> None:
    medium = Medium(Fading(2, 3, "static"), 3, noise_variance=1e-2)
    air = air_on(medium, 1024, None)
    medium.interferers.append(Interferer(1.5, 2.1e5))
    air.sound(0)
    assert air.sounding is not None
    assert all(fault.startswith("interference") for fault in air.sounding.faults)


def test_holding_needs_radios_that_can_and_a_shared_clock() -> None:
    medium = Medium(Fading(2, 3, "static"), 3, noise_variance=1e-2)
    with pytest.raises(InputError, match="shared clock"):
        air_on(medium, 256, 10, offset_prior_hz=1.0)

    class Plain:
        lo_hz = rate_sps = transmit_gain_db = receive_gain_db = 0.0

        def mute(self) -> None: ...

    with pytest.raises(InputError, match="weigh"):
        CoherentAir([Plain()], LoopbackRadio(medium), window=256, hold_samples=10)  # type: ignore[list-item]


def test_held_tones_stay_on_at_nothing_and_are_silent_after_a_failure_or_close() -> None:
    air = bench(held=True)
    medium = air._receiver._medium  # type: ignore[attr-defined]
    plan = air.plan(air.sound(0), 1.0)
    assert medium.on_air == tuple(range(DEVICES))
    assert np.abs(medium.capture(2000, 0.0)).std() < 0.1  # weighed to nothing: noise only
    first = air.aggregate(0, np.full((DEVICES, 1), 0.5), plan)
    again = air.aggregate(0, np.full((DEVICES, 1), 0.5), plan)
    assert first.total[0] == pytest.approx(2.0, abs=0.05) and np.array_equal(first.total, again.total)

    def broken(n: int) -> np.ndarray:
        raise OSError("cable pulled")

    air._receiver.receive = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="cable"):
        air.aggregate(0, np.ones((DEVICES, 1)), plan)
    assert medium.on_air == ()
    with pytest.raises(InputError, match="sound"):
        air.aggregate(0, np.ones((DEVICES, 1)), plan)
    air.close()


@pytest.mark.parametrize("shared", [True, False])
def test_the_bench_profile_is_within_a_percent_or_refused(shared: bool) -> None:
    medium = from_profile("pluto-bench", 5, 1, shared_clock=shared).medium()
    errors, reasons = play(air_on(medium, 16384, 50_032), 3)
    if shared:
        assert not reasons and np.sqrt(np.mean(errors**2)) < 0.01 * 5
    else:
        assert len(reasons) == 3 and all("no shared clock" in reason for reason in reasons)


@pytest.mark.parametrize("spread_samples", [2.0, 30.0])
def test_echoes_are_one_complex_number_to_a_tone(spread_samples: float) -> None:
    """No other waveform is needed in a frequency-selective channel: each device's gain is the channel's response at the
    tone, whatever the delays, once the guard covers them; against a flat channel the error is the same."""
    delays = tuple(spread_samples * 1e-6 * x for x in (0.0, 0.2, 0.55, 1.0))
    normalised = {}
    for name, settings in {
        "flat": {},
        "echoes": {"tap_delays_s": delays, "tap_powers_db": (0.0, -1.0, -3.0, -5.0)},
    }.items():
        medium = Medium(Fading(DEVICES, 9, "rayleigh", **settings), 9, noise_variance=1e-3)
        air = air_on(medium, 1024, None, guard=96)
        values = []
        for t in range(25):
            state = air.sound(t)
            if name == "echoes":
                hz = air.tone.cycles_per_sample * 1e6
                truth = medium.fading.paths(t) @ np.exp(-2j * np.pi * hz * np.array(delays)) * 10 ** (-15 / 20)
                assert (np.abs(state.gains - truth)[state.quality] < 6e-3).all()
            plan = air.plan(state, 1.0)
            payloads = stream(2, "echo", t).uniform(-1, 1, (DEVICES, 1))
            got = air.aggregate(t, payloads, plan)
            assert not got.erased, got.reason
            values.append((got.total[0] - payloads[plan.active].sum()) ** 2 / got.variance[0])
        normalised[name] = np.mean(values)
    assert normalised["echoes"] < 2.0 * normalised["flat"]
