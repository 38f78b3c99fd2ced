from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from radio.air import AirPlan
from radio.bank import RadioBank
from radio.energy import EnergyAir
from radio.energy_slot import energy_variance
from radio.errors import InputError
from radio.impairments import Impairments
from radio.loopback import LoopbackRadio
from radio.medium import Interferer, Medium
from radio.streams import stream
from radio.surroundings import Surroundings, from_profile, from_settings


def bench(place: Surroundings, **settings) -> tuple[Medium, EnergyAir]:
    medium = place.medium()
    return medium, EnergyAir(place.bank(medium), place.seed, **settings)


def quiet(devices: int = 3, seed: int = 4, sample_snr_db: float = 30.0, **settings) -> Surroundings:
    """Static unit gains; noise given per complex sample."""
    place = from_settings(devices, seed, window=64, fading="static", **settings)
    return replace(place, noise_variance=10 ** (-sample_snr_db / 10))


def true_plan(place: Surroundings, air: EnergyAir, peak: float) -> AirPlan:
    """Equal powers by the true gains instead of estimates."""
    power = np.abs(place.channel.gains(0)) ** 2 * 10 ** (place.receive_gain_db / 10)
    state = replace(air.sound(0), gains=np.sqrt(power).astype(complex), gain_variance=np.zeros(place.devices))
    return air.mode.plan(state, peak, truncation=0.0)


@pytest.mark.parametrize("mapping", ["signed", "augmented", "affine"])
@pytest.mark.parametrize(("devices", "sample_snr_db"), [(1, 10.0), (5, 0.0), (8, 20.0)])
def test_variance_is_the_formula(mapping: str, devices: int, sample_snr_db: float) -> None:
    """Var = (slope X)^2 sum over slots of [sum_{k != l} x_k x_l + 2 s^2 sum x_k + s^4]/M (pluto.md section 4)."""
    place = quiet(devices, sample_snr_db=sample_snr_db, adc_bits=None, dac_bits=None)
    _, air = bench(place, window=512, mapping=mapping)
    peak, count = 2.0, 1000
    plan = true_plan(place, air, peak)
    payloads = stream(1, "payloads").uniform(-peak, peak, (devices, count))
    got = air.aggregate(0, payloads, plan)
    assert not got.erased, got.reason
    error = got.total - payloads.sum(axis=0)
    powers = np.moveaxis(air.mapping.encode(payloads / peak), 0, -1)  # (P, slots, K), |h| = 1
    variance = energy_variance(powers, place.noise_variance, air.window).sum(axis=-1)
    formula = (air.mapping.slope * peak) ** 2 * variance.mean()
    # One floor for all slots is an offset that only the affine mapping sees.
    assert error.var() == pytest.approx(formula, rel=0.1)
    assert abs(error.mean()) < 4 * math.sqrt(formula / count) + (mapping == "affine") * 4 * air.mapping.slope * peak * (
        place.noise_variance / math.sqrt(air.idle_window)
    )
    assert 0.9 * formula < got.variance.mean() < 1.6 * formula + 1e-12
    np.testing.assert_allclose(got.snr_db, 10 * np.log10(peak**2 / got.variance))


def rms_error(place: Surroundings, rounds: int, **settings) -> float:
    """rms over full scale K X of the error of the sum, from estimates alone."""
    _, air = bench(place, **settings)
    errors = []
    for t in range(rounds):
        plan = air.mode.plan(air.sound(t), 1.0, truncation=0.05)
        payloads = stream(3, "payloads", t).uniform(-1, 1, (place.devices, 2))
        got = air.aggregate(t, payloads, plan)
        assert not got.erased, got.reason
        errors.append(got.total - payloads[plan.active].sum(axis=0))
    return float(np.sqrt(np.mean(np.square(errors)))) / place.devices


def test_free_running_bench_with_late_starts() -> None:
    """Profile pluto-bench: +-20 ppm, 0 to 50 ms start jitter, every vice of the radios; 16 ms a scalar, K = 5."""
    place = from_profile("pluto-bench", 5, 11)
    assert place.impairments.oscillator_ppm == 20.0 and place.impairments.start_jitter_s == 0.05
    assert rms_error(place, 12, window=16384) < 0.03


def test_a_common_clock_needs_distinct_sequences_and_has_them() -> None:
    """With equal waveforms cross terms would not average: errors of order 1 (pluto.md 1e). Here: of order 1/sqrt(M)."""
    assert rms_error(quiet(4), 25, window=4096) < 0.02


def test_estimates_of_gains_are_unbiased() -> None:
    """Pilots at 10 dB: the sum of many equal payloads is right on average, floor and inversion corrected."""
    place = quiet(6, sample_snr_db=0.0, adc_bits=None, dac_bits=None)
    _, air = bench(place, window=1024, pilot_window=128, min_pilot_snr_db=0.0)
    totals, noise = [], []
    for t in range(400):
        plan = air.mode.plan(air.sound(t), 1.0, truncation=0.0)
        got = air.aggregate(t, np.full((6, 1), 0.8), plan)
        totals.append(got.total[0] / plan.active.sum())
        noise.append(got.total[0])
    assert np.mean(totals) == pytest.approx(0.8, abs=4 * np.std(totals) / math.sqrt(400))
    assert np.std(totals) / math.sqrt(400) < 0.006  # so a bias of (1 + v) = 2 to 3 % would show


def test_reed_needs_no_pilots_and_is_right_on_average_over_fading() -> None:
    place = replace(from_settings(4, 5, window=64, fading="rayleigh"), noise_variance=1e-3)
    medium = place.medium()
    calibrated = place.channel.mean_power * 10 ** (place.receive_gain_db / 10)
    air = EnergyAir(place.bank(medium), 5, window=256, average_power=calibrated)
    payloads = np.array([[0.9], [-0.4], [0.5], [0.2]])
    totals = []
    for t in range(800):
        state = air.sound(t)
        assert medium.clock == air.idle_window  # an idle slot and nothing else
        totals.append(air.aggregate(t, payloads, air.mode.plan(state, 1.0, truncation=0.05)).total[0])
    # |h|^2 is exponential: Var = sum x_k^2 plus cross terms.
    assert np.mean(totals) == pytest.approx(1.2, abs=4 * math.sqrt(1.26 / 800))
    assert np.var(totals) == pytest.approx(1.26, rel=0.2)


def test_round_is_a_function_of_seed_and_index() -> None:
    def play(order: tuple[int, ...]) -> dict[int, tuple]:
        _, air = bench(quiet(offset_hz=10.0, timing_samples=4.0), window=256)
        found = {}
        for t in order:
            state = air.sound(t)
            got = air.aggregate(t, np.full((3, 2), 0.5), air.mode.plan(state, 1.0, truncation=0.0))
            found[t] = (state.gains, got.total, got.variance)
        return found

    forward, shuffled = play((0, 1, 2, 3)), play((3, 1, 1, 0, 2))
    for t, values in forward.items():
        for a, b in zip(values, shuffled[t], strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(forward[0][1], forward[1][1])


def ready(**settings) -> tuple[Medium, EnergyAir, AirPlan]:
    medium, air = bench(quiet(**settings), window=1024)
    return medium, air, air.mode.plan(air.sound(0), 1.0, truncation=0.1)


@pytest.mark.parametrize(("amplitude", "offset_hz"), [(0.5, 2.3e5), (0.5, 12_345.6)])
def test_a_carrier_erases_and_repeating_without_it_gives_the_untouched_round(amplitude, offset_hz) -> None:
    medium, air, plan = ready()
    before = air.aggregate(0, np.full((3, 1), 0.3), plan)
    medium.interferers.append(Interferer(amplitude, offset_hz))
    got = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert got.erased and "interference" in got.reason and np.isnan(got.total).all() and np.isnan(got.snr_db).all()
    medium.interferers.clear()
    again = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert not before.erased and np.array_equal(before.total, again.total)


def test_more_power_than_the_devices_have_is_not_theirs() -> None:
    medium, air = bench(quiet(adc_bits=None), window=1024)
    air._bank._receiver.receive_gain_db -= 20.0  # keep the ADC out of it
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    medium.noise_variance = 12.0
    got = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert got.erased and "devices send" in got.reason


def test_saturated_adc_erases() -> None:
    _, air, plan = ready()
    air._bank._receiver.receive_gain_db += 25.0
    got = air.aggregate(0, np.full((3, 1), 1.0), plan)
    assert got.erased and "saturated" in got.reason


@pytest.mark.parametrize("step_db", [3.0, -2.0])
def test_a_receive_gain_that_moved_since_sounding_erases(step_db: float) -> None:
    _, air, plan = ready()
    air._bank._receiver.receive_gain_db += step_db
    got = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert got.erased and "receive gain was" in got.reason and np.isnan(got.total).all()


@pytest.mark.parametrize("mapping", ["signed", "affine"])
@pytest.mark.parametrize(("agc_time_s", "target_dbfs"), [(0.01, -20.0), (0.1, -20.0), (0.1, -12.0)])
def test_automatic_gain_that_says_nothing_erases(mapping: str, agc_time_s: float, target_dbfs: float) -> None:
    agc = Impairments(agc=True, agc_time_s=agc_time_s, agc_target_dbfs=target_dbfs)
    _, air = bench(replace(quiet(5, sample_snr_db=12.0), impairments=agc), window=4096, mapping=mapping)
    for t in range(3):
        got = air.aggregate(t, np.full((5, 1), 0.3), air.mode.plan(air.sound(t), 1.0, truncation=0.1))
        assert got.erased and "automatic gain" in got.reason and np.isnan(got.total).all()


@pytest.mark.parametrize("step_db", [1.0, -1.0])
def test_a_step_of_gain_under_a_dc_offset_shows_in_the_closing_slot(step_db: float) -> None:
    """The offset is behind the gain: 10 dB above the noise, it would hide the step in the mean power."""
    medium, air = bench(
        replace(quiet(3, sample_snr_db=20.0), impairments=Impairments(dc_offset_dbfs=-20.0)), window=4096
    )
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    capture = medium.capture
    medium.capture = lambda n, gain_db: capture(n, gain_db + step_db)
    got = air.aggregate(0, np.full((3, 1), 0.3), plan)
    assert got.erased and "last" in got.reason and f"{step_db:+.0f}"[0] in got.reason


@pytest.mark.parametrize("devices", [1, 4])
def test_a_gain_that_brings_every_slot_to_one_level_does_not_add(devices: int) -> None:
    """Control that settles in the lead-in of every slot leaves nothing to see within one."""
    _, air = bench(quiet(devices), window=1024)
    slot = air._bank.slot

    def levelled(waves: dict, length: int) -> np.ndarray:
        heard = slot(waves, length)
        return heard * 0.25 / np.sqrt(np.mean(np.abs(heard) ** 2)) if waves else heard

    air._bank.slot = levelled  # type: ignore[method-assign]
    assert not air.sound(0).quality.any()
    got = air.aggregate(0, np.ones((devices, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.0))
    assert got.erased and "powers do not add" in got.reason


def test_images_are_measured_with_the_pilots() -> None:
    """25 dB of image rejection: the error stays the predicted one."""
    place = replace(quiet(3), impairments=Impairments(iq_gain_db=0.8, iq_phase_deg=4.0))
    _, air = bench(place, window=2048)
    ratios = []
    for t in range(60):
        payloads = stream(3, "image", t).uniform(-1, 1, (3, 1))
        got = air.aggregate(t, payloads, air.mode.plan(air.sound(t), 1.0, truncation=0.1))
        assert not got.erased, got.reason
        ratios.append((got.total[0] - payloads.sum()) ** 2 / got.variance[0])
    assert np.mean(ratios) < 1.5


class NanReceiver(LoopbackRadio):
    """A receiver whose driver hands out garbage once it is told to."""

    broken = False

    def receive(self, n: int) -> np.ndarray:
        samples = super().receive(n)
        return np.full_like(samples, np.nan) if self.broken else samples


def test_samples_that_are_not_finite_are_an_erasure_or_nobody_to_trust() -> None:
    medium = quiet(2).medium()
    receiver = NanReceiver(medium)
    bank = RadioBank([LoopbackRadio(medium, k) for k in range(2)], receiver, receive_gain_db=-12.0)
    air = EnergyAir(bank, 1, window=256)
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    receiver.broken = True
    got = air.aggregate(0, np.ones((2, 1)), plan)
    assert got.erased and "finite" in got.reason
    state = air.sound(1)
    assert not state.quality.any()
    got = air.aggregate(1, np.ones((2, 1)), air.mode.plan(state, 1.0, truncation=0.1))
    assert got.erased and got.reason == "no active device; idle slot: received samples are not finite"


def test_deep_fade_is_left_out_and_the_sum_is_of_the_active_set() -> None:
    medium, air = bench(quiet(path_loss_db=[0.0, 25.0, 0.0], sample_snr_db=40.0), window=16384)
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    assert plan.active.tolist() == [True, False, True]
    got = air.aggregate(0, np.array([[0.5], [np.nan], [-0.2]]), plan)
    assert got.total[0] == pytest.approx(0.3, abs=0.01)
    assert np.isneginf(got.transmit_power_dbfs[1])
    # Energies 0.5 and 0.2 of full scale, each in one of two slots.
    np.testing.assert_allclose(got.transmit_power_dbfs[[0, 2]], 10 * np.log10([0.25, 0.1]), atol=0.3)
    assert medium.on_air == ()


def test_payload_beyond_the_peak_is_limited_and_counted_at_its_transmitter() -> None:
    _, air = bench(quiet(sample_snr_db=40.0), window=8192)
    plan = true_plan(quiet(sample_snr_db=40.0), air, 1.0)
    got = air.aggregate(0, np.array([[3.0, 0.5], [0.5, 0.5], [-0.25, -4.0]]), plan)
    assert got.clipped.tolist() == [4096, 0, 4096]
    assert np.allclose(got.total, [1.0 + 0.5 - 0.25, 0.5 + 0.5 - 1.0], atol=0.06)


def test_wrong_use_is_explained() -> None:
    _, air, plan = ready()
    with pytest.raises(InputError, match="round 5"):
        air.aggregate(5, np.ones((3, 1)), plan)
    with pytest.raises(InputError, match="window is 100"):
        bench(quiet(), window=100)
    with pytest.raises(InputError, match="average_power"):
        bench(quiet(), average_power=[1.0, 0.0, 1.0])
    with pytest.raises(InputError, match="mapping"):
        bench(quiet(), mapping="odd")
    air.close()
    with pytest.raises(InputError, match="closed"):
        air.sound(1)
