from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.air import Air
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback_air import loopback_parts
from radio.streams import stream
from radio.symbol_channel import SymbolChannel, complex_normal
from radio.symbol_coherent import CoherentStatistics, SymbolCoherentAir, coherent_mse, misalignment


@given(st.floats(0.0, 0.3), st.floats(0.0, 1.0))
def test_misalignment_is_the_second_moment_of_the_projection(amplitude_std: float, phase_std: float) -> None:
    """E[(1+a)^2 cos^2] - 2 E[(1+a) cos] + 1 by Gauss-Hermite quadrature over the phase."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    cosine = np.cos(phase_std * nodes)
    first, second = ((weights * f).sum() / weights.sum() for f in (cosine, cosine**2))
    expected = (1 + amplitude_std**2) * second - 2 * first + 1
    assert misalignment(amplitude_std, phase_std) == pytest.approx(expected, abs=1e-12)


def test_figures_of_the_reference() -> None:
    """K = 8, E[p^2] = 1/3, 2 % amplitude error, M = 1023 at 10 dB per sample: rms 0.034 at 2 degrees, 0.054 at 10 and
    0.35 at 30, of a full scale of 8 (pluto.md section 4)."""
    for degrees, rms in ((2.0, 0.034), (10.0, 0.054), (30.0, 0.35)):
        mse = coherent_mse(8, 1 / 3, 0.1, 1023, 1.0, amplitude_std=0.02, phase_std=np.radians(degrees))
        assert np.sqrt(mse) == pytest.approx(rms, rel=0.03)


def test_perfect_pilots_leave_the_noise_of_the_weakest() -> None:
    statistics = CoherentStatistics(window=256, pilot_window=10**9, truncation=0.0, min_pilot_snr_db=-300.0)
    draws = stream(1, "known")
    gains = np.tile(complex_normal(draws, (1, 5), 1.0), (40_000, 1))
    values = draws.uniform(-1, 1, gains.shape)
    total, active = statistics.rounds(gains, values, 2.0, draws)
    error = total - values.sum(axis=1)
    assert active.all()
    assert error.var() == pytest.approx(2.0 / (2 * 256) / (np.abs(gains[0]) ** 2).min(), rel=0.03)
    assert abs(error.mean()) < 4 * error.std() / 200


def test_truncation_and_quality_leave_out_and_nobody_is_nan() -> None:
    statistics = CoherentStatistics(window=256, pilot_window=256, truncation=0.5, min_pilot_snr_db=10.0)
    gains = np.array([[1.0, 0.1, 1.0], [1e-6, 1e-6, 1e-6]], dtype=np.complex128)
    total, active = statistics.rounds(gains, np.full((2, 3), 0.5), 1e-3, stream(1, "truncated"))
    assert active.tolist() == [[True, False, True], [False] * 3]
    assert total[0] == pytest.approx(1.0, abs=0.02) and np.isnan(total[1])


@pytest.mark.parametrize(
    ("settings", "rounds"),
    [
        ({"fading": "static", "snr_db": 18.0}, 700),
        ({"fading": "static", "snr_db": 40.0, "offset_hz": 40.0, "timing_samples": 6.0}, 500),
    ],
)
def test_sample_fidelity_has_these_statistics(settings: dict, rounds: int) -> None:
    devices, window = 4, 128
    medium, air = loopback_parts(devices, 3, window=window, **settings)
    draws, sample = stream(2, "compare"), []
    for t in range(rounds):
        plan = air.plan(air.sound(t), 1.0)
        payloads = draws.uniform(-1, 1, (devices, 1))
        got = air.aggregate(t, payloads, plan)
        if not got.erased:
            sample.append(got.total[0] - payloads[plan.active].sum())
    statistics = CoherentStatistics(
        window, window, air.pilots.repeats, guard_samples=air.guard_samples, offset_std=medium.offset_hz / 1e6
    )
    values = draws.uniform(-1, 1, (100_000, devices))
    gains = np.tile(medium.gains, (100_000, 1))
    total, active = statistics.rounds(gains, values, medium.noise_variance, draws)
    symbol = total - np.where(active, values, 0.0).sum(axis=1)
    assert len(sample) > 0.99 * rounds
    assert abs(10 * np.log10(np.mean(np.square(sample)) / np.nanmean(symbol**2))) < 0.8


def air_of(devices: int = 3, **settings: float) -> SymbolCoherentAir:
    return SymbolCoherentAir(SymbolChannel(Fading(devices, 4), 0.05, 4), window=512, **settings)


def test_air_is_a_function_of_seed_and_round_and_errs_as_it_says() -> None:
    air: Air = air_of()
    normalised, first = [], {}
    for t in (*range(300), 5, 0):
        state = air.sound(t)
        plan = air.mode.plan(state, 2.0, truncation=0.1)
        payloads = stream(5, "payloads", t).uniform(-2, 2, (3, 2))
        got = air.aggregate(t, payloads, plan)
        if t in first:
            np.testing.assert_array_equal(got.total, first[t])
        first[t] = got.total
        normalised += list((got.total - payloads[plan.active].sum(axis=0)) ** 2 / got.variance)
    # Receiver noise is what `variance` states; the pilots' errors come on top, of the same order.
    assert 1.0 < np.nanmean(normalised) < 5.0


def test_air_limits_counts_and_erases_like_its_sample_fidelity_twin() -> None:
    air = air_of(offset_hz=5.0, pilot_repeats=2)
    plan = air.plan(air.sound(0), 1.0)
    got = air.aggregate(0, np.where(np.arange(3)[:, None] == 0, 50.0, 0.1) * np.ones((3, 2)), plan)
    assert (
        got.clipped[0] > 0 and not got.clipped[1:].all() and got.transmit_power_dbfs[0] == pytest.approx(0.0, abs=1e-9)
    )
    nobody = type(plan)(plan.precoders, np.zeros(3, dtype=bool), 0.0, 1.0)
    got = air.aggregate(0, np.ones((3, 1)), nobody)
    assert got.erased and got.reason == "no active device" and np.isnan(got.total).all()
    with air, pytest.raises(InputError, match="window"):
        air_of(pilot_window=10)
