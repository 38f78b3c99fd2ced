from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from radio.air import AirPlan, ChannelState
from radio.coherent import CoherentAir
from radio.errors import InputError
from radio.fading import Fading
from radio.impairments import Impairments
from radio.inversion import plan_inversion
from radio.loopback import LoopbackRadio
from radio.loopback_air import loopback_parts
from radio.medium import Interferer, Medium
from radio.streams import stream
from radio.surroundings import from_settings


def true_state(medium: Medium, air: CoherentAir, state: ChannelState) -> ChannelState:
    """The round's channel as it is (no offsets), instead of as estimated."""
    receive = 10 ** (air._receiver.receive_gain_db / 20)
    return replace(state, gains=medium.gains * receive, quality=np.ones(air.devices, dtype=bool))


@pytest.mark.parametrize(
    ("devices", "snr_db", "fading"), [(1, 10, "static"), (4, 25, "static"), (8, 0, "static"), (4, 20, "rayleigh")]
)
def test_error_is_the_closed_form_noise_only(devices: int, snr_db: float, fading: str) -> None:
    """MSE = sigma^2 / (2 M eta^2), eta = min |h| A_max / X (pluto.md section 4); at |h| = 1 that is X^2 / SNR."""
    medium, air = loopback_parts(devices, 3, fading=fading, snr_db=snr_db, window=256)
    peak, slots = 2.0, 1200
    plan = plan_inversion(true_state(medium, air, air.sound(0)), peak, truncation=0.0)
    payloads = stream(1, "payloads").uniform(-peak, peak, (devices, slots))
    got = air.aggregate(0, payloads, plan)
    assert not got.erased, got.reason
    mse = ((got.total - payloads.sum(axis=0)) ** 2).mean()
    formula = peak**2 / 10 ** (snr_db / 10) / (np.abs(medium.gains) ** 2).min()
    assert abs(10 * np.log10(mse / formula)) < 0.5
    # `snr_db` is of the noise alone, half of it known from one idle slot: 1/(2 ln(2) sqrt(bins)), 4.7 %.
    noise = np.mean(peak**2 / 10 ** (got.snr_db / 10)) / formula
    assert abs(noise - 1) < 4 * 0.5 / (np.log(2) * np.sqrt(air.tone.noise_bins))
    assert (got.variance > peak**2 / 10 ** (got.snr_db / 10)).all()  # the pilots' errors come on top


def test_predicted_noise_is_right_on_average() -> None:
    """One idle slot misses by some per cent, as it may; many do not: medians are not biased."""
    found = []
    for seed in range(24):
        medium, air = loopback_parts(1, seed, fading="static", snr_db=20.0, window=256)
        plan = plan_inversion(true_state(medium, air, air.sound(0)), 2.0, truncation=0.0)
        got = air.aggregate(0, np.zeros((1, 40)), plan)
        found.append(np.mean(10 ** ((20.0 - got.snr_db) / 10)))
    assert np.mean(found) == pytest.approx(1.0, abs=0.04)  # 3 standard errors


@pytest.mark.parametrize(("phase_deg", "amplitude_std"), [(10.0, 0.02), (30.0, 0.05)])
def test_error_is_the_closed_form_with_misalignment(phase_deg: float, amplitude_std: float) -> None:
    """MSE = K E[p^2] ((1 + s_a^2)(1 + e^{-2 s^2})/2 - 2 e^{-s^2/2} + 1) + noise (pluto.md section 4)."""
    devices, rounds, sigma = 8, 1000, np.deg2rad(phase_deg)
    medium, air = loopback_parts(devices, 5, fading="static", snr_db=50.0, window=128)
    air.reference_tolerance = math.inf  # injected errors are what it would refuse
    plan = plan_inversion(true_state(medium, air, air.sound(0)), 2.0)
    draws = stream(2, "misaligned", int(phase_deg))
    errors = []
    for _ in range(rounds):
        wrong = (1 + amplitude_std * draws.standard_normal(devices)) * np.exp(
            1j * sigma * draws.standard_normal(devices)
        )
        payloads = draws.uniform(-1, 1, (devices, 1))
        got = air.aggregate(0, payloads, replace(plan, precoders=plan.precoders * wrong))
        assert not got.erased and not got.clipped.any()
        errors.append(got.total[0] - payloads.sum())
    term = (1 + amplitude_std**2) * (1 + np.exp(-2 * sigma**2)) / 2 - 2 * np.exp(-(sigma**2) / 2) + 1
    formula = devices / 3 * term + 2.0**2 / 10**5.0
    assert abs(10 * np.log10(np.mean(np.square(errors)) / formula)) < 0.6


def rms_error(rounds: int = 40, **settings: float) -> float:
    _, air = loopback_parts(5, 9, fading="static", **settings)
    errors = []
    for t in range(rounds):
        plan = plan_inversion(air.sound(t), 1.0)
        payloads = stream(3, "payloads", t).uniform(-1, 1, (5, 1))
        got = air.aggregate(t, payloads, plan)
        assert not got.erased, got.reason
        errors.append(got.total[0] - payloads[plan.active].sum())
    return float(np.sqrt(np.mean(np.square(errors))))


def test_offsets_and_late_starts_are_corrected_from_estimates_alone() -> None:
    common = rms_error(snr_db=50.0)
    assert rms_error(snr_db=50.0, timing_samples=20.5) < 1.5 * common
    # Uncorrected, 50 Hz over the 22 ms between the pilots and the slot is more than a turn: an error of order 1.
    assert rms_error(snr_db=50.0, offset_hz=50.0) < 2.0 * common


def test_offset_that_is_not_expected_is_refused_and_named() -> None:
    """50 Hz is 73 degrees within a pilot of 4 ms, and more than a turn from the pilots to the slot."""
    medium, air = loopback_parts(5, 9, fading="static", snr_db=50.0)
    medium.offset_hz = 50.0
    for t in range(1, 30):
        got = air.aggregate(t, np.ones((5, 1)), air.plan(air.sound(t), 1.0))
        assert air.sounding is not None
        moving = [fault.startswith("no shared clock: its phase moved by") for fault in air.sounding.faults]
        # Below some 7 Hz a pilot turns by less than 10 degrees: tolerated, if the pilot is all there is to tell.
        assert all(moving[k] for k in range(5) if abs(medium.offsets_hz[k]) > 15.0)
        if sum(moving) > 2:
            assert got.erased and "no shared clock" in got.reason and "energy mode" in got.reason


def test_round_is_a_function_of_seed_and_index() -> None:
    def play(order: tuple[int, ...]) -> dict[int, tuple]:
        _, air = loopback_parts(3, 21, offset_hz=10.0, timing_samples=4.0, window=256)
        results = {}
        for t in order:
            state = air.sound(t)
            got = air.aggregate(t, np.full((3, 2), 0.5), plan_inversion(state, 1.0))
            results[t] = (state.gains, state.offset_hz, got.total, got.variance)
        return results

    forward, shuffled = play((0, 1, 2, 3)), play((3, 1, 1, 0, 2))
    for t, values in forward.items():
        for a, b in zip(values, shuffled[t], strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(forward[0][2], forward[1][2])


def quiet_bench(**settings: float) -> tuple[Medium, CoherentAir, AirPlan]:
    medium, air = loopback_parts(3, 4, fading="static", snr_db=30.0, window=512, **settings)
    return medium, air, plan_inversion(air.sound(0), 1.0)


def test_interferer_erases_and_repeating_without_it_gives_the_untouched_round() -> None:
    medium, air, plan = quiet_bench()
    before = air.aggregate(0, np.full((3, 1), 0.3), plan)
    medium.interferers.append(Interferer(3.0 * np.sqrt(medium.noise_variance), 2.3e5))
    got = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert got.erased and "interference" in got.reason and np.isnan(got.total).all()
    medium.interferers.clear()
    again = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert not before.erased and np.array_equal(before.total, again.total)


def test_interferer_on_the_tone_itself_is_more_than_the_devices_can_send() -> None:
    medium, air, _ = quiet_bench()
    air._receiver.receive_gain_db -= 20.0  # keep the ADC out of it
    state = air.sound(0)
    medium.interferers.append(Interferer(20.0, air.tone.cycles_per_sample * 1e6))
    got = air.aggregate(0, np.full((3, 1), 0.3), plan_inversion(state, 1.0))
    assert got.erased and "devices" in got.reason


def test_carrier_in_the_idle_slot_on_the_tone_refuses_the_round() -> None:
    medium, air, plan = quiet_bench()
    medium.interferers.append(Interferer(0.5, air.tone.cycles_per_sample * 1e6))
    state = air.sound(0)
    assert not state.quality.any()
    assert air.sounding is not None and "carrier" in air.sounding.reason and air.sounding.idle_fault
    for each in (air.plan(state, 1.0), plan):  # a plan of another sounding is no way round it
        got = air.aggregate(0, np.full((3, 1), 0.3), each)
        assert got.erased and "everybody off a carrier" in got.reason and np.isnan(got.total).all()


@pytest.mark.parametrize("step_db", [3.0, -2.0])
@pytest.mark.parametrize("known", [True, False])
def test_receive_gain_that_moved_since_sounding_erases(step_db: float, known: bool) -> None:
    """Told by the radio, or by the noise floor alone."""
    medium, air = loopback_parts(5, 3, fading="static", snr_db=70.0)
    plan = air.plan(air.sound(0), 1.0)
    if known:
        air._receiver.receive_gain_db += step_db
    else:
        capture = medium.capture
        medium.capture = lambda n, gain_db: capture(n, gain_db + step_db)
    got = air.aggregate(0, np.array([[0.1], [-0.3], [0.2], [0.4], [-0.2]]), plan)
    assert got.erased and "gain" in got.reason and np.isnan(got.total).all()


@pytest.mark.parametrize(("snr_db", "offset_hz"), [(20.0, 0.0), (40.0, 0.0), (45.0, 30.0)])
def test_variance_holds_the_errors_of_the_channel_estimates(snr_db: float, offset_hz: float) -> None:
    _, air = loopback_parts(5, 4, fading="static", snr_db=snr_db, window=256, offset_hz=offset_hz)
    ratios = []
    for t in range(250):
        payloads = stream(6, "payloads", t).uniform(-1, 1, (5, 1))
        plan = air.plan(air.sound(t), 1.0)
        got = air.aggregate(t, payloads, plan)
        assert not got.erased, got.reason
        ratios.append((got.total[0] - payloads[plan.active].sum()) ** 2 / got.variance[0])
    assert 0.7 < np.mean(ratios) < 1.4  # 1 +- 3 sqrt(2 / 250), and later pilots' smaller share of the offset's error


@pytest.mark.parametrize("agc_time_s", [0.1, 0.3, 1.0, 3.0])
def test_slow_automatic_gain_is_an_erasure_or_within_the_stated_bound(agc_time_s: float) -> None:
    """|error| <= (tolerance + chance) |sum| beyond the noise, and `variance` holds what is seen of it."""
    place = replace(
        from_settings(5, 4, window=4096, fading="static", snr_db=50.0),
        impairments=Impairments(agc=True, agc_time_s=agc_time_s),
    )
    air = place.cell(place.medium()).coherent(window=4096)
    ratios = []
    for t in range(10):
        payloads = stream(6, "agc", t).uniform(-1, 1, (5, 1))
        got = air.aggregate(t, payloads, air.plan(air.sound(t), 1.0))
        if got.erased:
            assert "gain" in got.reason
            continue
        error = abs(got.total[0] - payloads.sum())
        assert error < 0.03 * abs(payloads.sum()) + 5 * np.sqrt(5 * 1e-5)
        ratios.append(error**2 / got.variance[0])
    assert len(ratios) <= 10 * (agc_time_s > 0.1) and (agc_time_s < 1.0 or len(ratios) == 10)
    assert not ratios or np.mean(ratios) < 2.5


def test_what_no_slot_shows_by_itself_shows_in_the_reference() -> None:
    """A device that dies after its pilots, and a carrier on the tone that begins with the payload."""
    payloads = np.full((5, 1), 0.3)
    for break_it in ("device", "carrier"):
        medium, air = loopback_parts(5, 3, fading="static", snr_db=40.0)
        plan = air.plan(air.sound(0), 1.0)
        assert not air.aggregate(0, payloads, plan).erased
        if break_it == "device":
            medium.gains = medium.gains * np.array([1.0, 1.0, 0.0, 1.0, 1.0])
        else:
            medium.interferers.append(Interferer(0.5, air.tone.cycles_per_sample * 1e6))  # in phase with the sum
        got = air.aggregate(0, payloads, plan)
        assert got.erased and "reference" in got.reason


@pytest.mark.parametrize("fading", ["static", "rayleigh"])
def test_reference_loses_no_good_round(fading: str) -> None:
    for snr_db in (15.0, 30.0, 70.0):
        _, air = loopback_parts(4, 8, fading=fading, snr_db=snr_db, window=128)
        for t in range(60):
            got = air.aggregate(t, np.full((4, 1), 0.5), air.plan(air.sound(t), 1.0))
            assert "reference" not in got.reason


def test_error_of_its_user_mutes_held_tones() -> None:
    medium = Medium(Fading(2, seed=1, kind="static"), 1, noise_variance=1e-6)
    air = CoherentAir([LoopbackRadio(medium, k) for k in range(2)], LoopbackRadio(medium), window=128, hold_samples=64)
    plan = air.plan(air.sound(0), 1.0)
    assert medium.on_air == (0, 1)
    with pytest.raises(InputError, match="shape"):
        air.aggregate(0, np.ones((3, 1)), plan)
    assert medium.on_air == ()


def test_saturated_adc_erases() -> None:
    _, air, plan = quiet_bench()
    air._receiver.receive_gain_db += 25.0
    got = air.aggregate(0, np.full((3, 1), 1.0), plan)
    assert got.erased and "saturated" in got.reason


def test_gain_plan_leaves_the_adc_unclipped() -> None:
    medium, air = loopback_parts(6, 2, snr_db=30.0, window=256)
    for t in range(100):
        air.aggregate(t, np.ones((6, 1)), plan_inversion(air.sound(t), 1.0))
    assert medium.adc_clipped <= 1


def test_deep_fade_is_left_out_and_the_sum_is_of_the_active_set() -> None:
    _, air = loopback_parts(3, 4, fading="static", path_loss_db=[0.0, 25.0, 0.0], snr_db=60.0, window=512)
    plan = plan_inversion(air.sound(0), 1.0, truncation=0.1)
    assert plan.active.tolist() == [True, False, True]
    got = air.aggregate(0, np.array([[0.5], [np.nan], [-0.2]]), plan)
    assert got.total[0] == pytest.approx(0.3, abs=0.01)
    assert np.isneginf(got.transmit_power_dbfs[1]) and np.isfinite(got.transmit_power_dbfs[[0, 2]]).all()


def test_nobody_active_is_an_erasure_and_nothing_is_sent() -> None:
    medium, air, plan = quiet_bench()
    clock = medium.clock
    got = air.aggregate(0, np.ones((3, 1)), replace(plan, active=np.zeros(3, dtype=bool)))
    assert got.erased and got.reason == "no active device" and medium.clock == clock


def test_payload_beyond_the_peak_is_limited_and_counted_at_its_transmitter() -> None:
    medium, air = loopback_parts(3, 4, fading="static", snr_db=60.0, window=512)
    state = air.sound(0)
    plan = plan_inversion(true_state(medium, air, state), 1.0)
    got = air.aggregate(0, np.array([[3.0, 0.5], [0.5, 0.5], [-0.25, -4.0]]), plan)
    assert got.clipped.tolist() == [512, 0, 512]
    assert np.allclose(got.total, [1.0 + 0.5 - 0.25, 0.5 + 0.5 - 1.0], atol=0.01)  # |h| = 1: all have the same limit
    assert np.allclose(got.transmit_power_dbfs, 10 * np.log10([(1 + 0.25) / 2, 0.25, (0.0625 + 1) / 2]))
    assert not medium.dac_clipped.any()


class BreakingReceiver(LoopbackRadio):
    """A receiver whose cable is pulled after some captures."""

    captures_left = 4

    def receive(self, n: int) -> np.ndarray:
        self.captures_left -= 1
        if self.captures_left < 0:
            raise OSError("cable pulled")
        return super().receive(n)


def fragile_bench(captures: int) -> tuple[Medium, CoherentAir]:
    medium = Medium(Fading(2, seed=1, kind="static"), 1, noise_variance=1e-6)
    receiver = BreakingReceiver(medium)
    receiver.captures_left = captures
    transmitters = [LoopbackRadio(medium, k) for k in range(2)]
    return medium, CoherentAir(transmitters, receiver, window=128, receive_gain_db=-12.0)


def test_every_transmitter_is_muted_when_anything_fails() -> None:
    medium, air = fragile_bench(captures=2)  # idle and the first pilot: the second device is sending when it breaks
    with pytest.raises(OSError, match="cable"):
        air.sound(0)
    assert medium.on_air == ()
    medium, air = fragile_bench(captures=3)  # breaks in the payload slot
    plan = air.plan(air.sound(0), 1.0)
    with pytest.raises(OSError, match="cable"):
        air.aggregate(0, np.ones((2, 1)), plan)
    assert medium.on_air == ()


def test_context_manager_closes_on_an_exception_of_its_user() -> None:
    medium, air = fragile_bench(captures=0)
    with pytest.raises(KeyboardInterrupt), air:
        air._cast._radios[0].transmit(np.ones(8, dtype=np.complex128), cyclic=True)
        raise KeyboardInterrupt
    assert medium.on_air == ()
    with pytest.raises(InputError, match="closed"):
        air.sound(1)


class StubbornTransmitter(LoopbackRadio):
    """A transmitter that does not answer when told to be silent."""

    deaf = False

    def mute(self) -> None:
        if self.deaf:
            raise OSError("no answer")
        super().mute()


def test_one_deaf_transmitter_does_not_keep_the_others_on_air() -> None:
    medium = Medium(Fading(3, seed=1, kind="static"), 1, noise_variance=1e-6)
    transmitters = [StubbornTransmitter(medium, k) for k in range(3)]
    air = CoherentAir(transmitters, LoopbackRadio(medium), window=128)
    for radio in transmitters:
        radio.transmit(np.ones(8, dtype=np.complex128), cyclic=True)
    transmitters[0].deaf = True
    for silence in (air.mute, air.close):
        with pytest.raises(OSError, match="no answer"):
            silence()
        assert medium.on_air == (0,)


class NanReceiver(LoopbackRadio):
    """A receiver whose driver hands out garbage once it is told to."""

    broken = False

    def receive(self, n: int) -> np.ndarray:
        samples = super().receive(n)
        return np.full_like(samples, np.nan) if self.broken else samples


def test_samples_that_are_not_finite_are_an_erasure_or_a_bad_pilot() -> None:
    medium = Medium(Fading(2, seed=1, kind="static"), 1, noise_variance=1e-6)
    receiver = NanReceiver(medium)
    air = CoherentAir([LoopbackRadio(medium, k) for k in range(2)], receiver, window=128, receive_gain_db=-12.0)
    plan = air.plan(air.sound(0), 1.0)
    receiver.broken = True
    got = air.aggregate(0, np.ones((2, 1)), plan)
    assert got.erased and "finite" in got.reason
    state = air.sound(1)
    assert not state.quality.any() and not air.plan(state, 1.0).active.any()


def test_start_jitter_between_pilot_and_payload_is_a_phase_error() -> None:
    """Late by d samples is a turn of 2 pi f d, once in the pilot and once in the payload: pluto.md section 4 again."""
    devices, jitter = 4, 0.3
    medium, air = loopback_parts(devices, 5, fading="static", snr_db=60.0, window=256, timing_samples=8.0)
    air.reference_tolerance = math.inf  # 5 degrees a device are close to what it refuses
    medium.jitter_samples = jitter
    medium.lags = np.full(devices, 4.0)
    draws, errors = stream(4, "jitter"), []
    air._on_phase = None  # one round for ever: the lags stay, the jitter goes on
    for _ in range(300):
        payloads = draws.uniform(-1, 1, (devices, 1))
        got = air.aggregate(0, payloads, air.plan(air.sound(0), 1.0))
        errors.append(got.total[0] - payloads.sum())
    sigma = np.sqrt(2.0) * 2 * np.pi * air.tone.cycles_per_sample * jitter
    formula = devices / 3 * ((1 + np.exp(-2 * sigma**2)) / 2 - 2 * np.exp(-(sigma**2) / 2) + 1) + 1e-6
    assert abs(10 * np.log10(np.mean(np.square(errors)) / formula)) < 1.5


def test_silence_before_and_after_every_call() -> None:
    medium, air, plan = quiet_bench()
    assert medium.on_air == ()
    air.aggregate(0, np.ones((3, 2)), plan)
    assert medium.on_air == ()
    air._cast._radios[1].transmit(np.ones(8, dtype=np.complex128), cyclic=True)
    air.close()
    air.close()
    assert medium.on_air == ()


def test_aggregate_needs_the_rounds_own_sounding() -> None:
    _, air, plan = quiet_bench()
    with pytest.raises(InputError, match="round 5"):
        air.aggregate(5, np.ones((3, 1)), plan)
