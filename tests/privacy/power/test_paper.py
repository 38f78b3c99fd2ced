from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from privacy.gaussian import gaussian_epsilon
from privacy.power import paper
from privacy.power.paper import Corrections
from privacy.power.schedule import round_weights, snr_caps
from privacy.power.sign import drift
from privacy.power.water_filling import water_filling
from radio.errors import InputError

R_DP = 1.108  # epsilon 5 at delta 0.01, the paper's settings
MENDED = Corrections(case_test=True)


def rayleigh(seed: int, rounds: int, devices: int) -> np.ndarray:
    return np.maximum(np.random.default_rng(seed).exponential(size=(rounds, devices)), 1e-6)


def test_theorem_3_is_water_filling() -> None:
    gains = rayleigh(1, 200, 5)
    c = paper.analog_schedule(gains, 0.03, 2.0, 3.0, 0.99, R_DP, MENDED)
    u = water_filling(round_weights(200, 0.99), snr_caps(0.03 * gains, 3.0, 2.0), 3.0, R_DP)
    np.testing.assert_allclose(c**2 / 2.0, u, rtol=1e-9)


def test_uncapped_schedules_have_the_printed_shapes() -> None:
    gains, t = np.ones((50, 3)), np.arange(1, 51)
    forwards = paper.analog_schedule(gains, 1e9, 1.0, 1.0, 0.98, R_DP)
    backwards = paper.reversed_schedule(gains, 1e9, 1.0, 1.0, 0.98, R_DP)
    np.testing.assert_allclose(forwards / forwards[0], 0.98 ** (-(t - 1) / 4), rtol=1e-12)
    np.testing.assert_allclose(backwards / backwards[0], 0.98 ** ((t - 1) / 4), rtol=1e-12)
    np.testing.assert_allclose(paper.static_schedule(gains, 1e9, 1.0, 7.0, R_DP), math.sqrt(R_DP / 100 / 49), rtol=1e-9)


def test_the_printed_test_for_full_power_overspends_up_to_k_times() -> None:
    """E2: with a budget that full power exceeds K = 5 times, epsilon 5 (delta 0.01) is really 12.5."""
    gains = np.ones((100, 5))
    power = R_DP * 5 * (1 - 1e-6) / 2 / 100  # full power costs 5 R, 2 gamma^2 sum c^2/N0
    printed = paper.analog_schedule(gains, power, 1.0, 1.0, 0.998, R_DP)
    spent = 2.0 * (printed**2).sum()
    assert spent == pytest.approx(5 * R_DP, rel=1e-5)
    mu, epsilon = math.sqrt(10 * R_DP), 12.53
    delta = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert delta == pytest.approx(0.01, rel=2e-3)
    assert gaussian_epsilon(math.sqrt(2 * spent), 0.01) == pytest.approx(epsilon, abs=0.01)
    mended = paper.analog_schedule(gains, power, 1.0, 1.0, 0.998, R_DP, MENDED)
    assert 2.0 * (mended**2).sum() <= R_DP


def test_complex_noise_taken_for_real_halves_the_budget_it_thinks_it_keeps() -> None:
    """E9: the noise in the signal's dimension is N0/2; the schedule as printed costs twice what it counts."""
    gains = np.ones((100, 5))
    for corrections, ratio in ((MENDED, 2.0), (Corrections.all(), 1.0)):
        c = paper.analog_schedule(gains, 1e9, 1.0, 1.0, 0.998, R_DP, corrections)
        assert 2.0 * (c**2 / 0.5).sum() / R_DP == pytest.approx(ratio, rel=1e-6)
    # privacy.md 1.6: exact epsilon 5 at delta 1e-5 (rho = 0.62859) becomes 7.5
    assert gaussian_epsilon(math.sqrt(2 * 2 * 0.62859), 1e-5) == pytest.approx(7.5, abs=0.05)


def test_the_axis_moves_by_81_db_with_the_models_size() -> None:
    printed = paper.peak_power(10.0, 2.0, 125_239_296)
    assert paper.peak_power(10.0, 2.0, 125_239_296, Corrections(scalar_payload=True)) == pytest.approx(20.0)
    assert 10 * math.log10(printed / 20.0) == pytest.approx(81.0, abs=0.05)


def test_theorem_4_as_printed_has_no_solution_at_its_own_settings() -> None:
    """E6: it forces a spending of 1.15e6 of a budget of 1.108."""
    with pytest.raises(InputError, match=r"no solution.*1\.151e\+06.*1\.108"):
        paper.sign_schedule(np.ones((8000, 5)), 1e9, 1.0, 0.496, 0.998, R_DP)


def test_projected_theorem_4_whispers_until_the_last_75_rounds() -> None:
    """privacy.md 2.6: 75 of 8000 rounds; 0.0239 of the noiseless drift weighted, 0.0016 unweighted; 0.0237 corrected."""
    w, noiseless = round_weights(8000, 0.998), float(drift(np.inf, 5, 0.496))
    gains = np.ones((8000, 5))
    projected = paper.sign_schedule(gains, 1e9, 1.0, 0.496, 0.998, R_DP, Corrections(snr_projection=True)) ** 2
    assert (projected > 0).sum() == 75 and (projected[-75:] > 0).all()
    of_drift = drift(projected, 5, 0.496)
    assert (w * of_drift).sum() / (w.sum() * noiseless) == pytest.approx(0.0239, abs=5e-5)
    assert of_drift.mean() / noiseless == pytest.approx(0.0016, abs=5e-5)
    mended = paper.sign_schedule(gains, 1e9, 1.0, 0.496, 0.998, R_DP, Corrections.all()) ** 2 / 0.5
    assert (w * drift(mended, 5, 0.496)).sum() / (w.sum() * noiseless) == pytest.approx(0.0237, abs=5e-5)


def test_where_it_has_one_theorem_4s_solution_is_the_printed_formula() -> None:
    gains, a = np.ones((20, 5)), 0.999
    c = paper.sign_schedule(gains, 1e9, 1.0, 0.3, a, 50.0)
    b1, b2 = paper.vote_moments(5, 0.3)
    inverse = 1.0 / c**2
    w = a ** -np.arange(1.0, 21.0)
    # zeta from the last round, then every other round from the printed formula
    share = b2 * math.sqrt(w[-1]) / ((b1 + b2) / inverse[-1] + 1.0)
    zeta = share**2 / 2.0
    expected = (b1 + b2) * (4 * zeta + np.sqrt(8 * w * b2**2 * zeta)) / (2 * (w * b2**2 - 2 * zeta))
    np.testing.assert_allclose(inverse, expected, rtol=1e-8)


def test_moments_of_the_vote() -> None:
    """E4: variance of the sum of K signs, and the square of its mean."""
    values = np.array([1.0, -1.0])
    chance = np.array([0.504, 0.496])
    mean, variance = (values * chance).sum(), 1.0 - (values * chance).sum() ** 2
    assert paper.vote_moments(5, 0.496, Corrections.all()) == pytest.approx((5 * variance, 25 * mean**2))
    assert paper.vote_moments(5, 0.496) == pytest.approx((25 * mean, 5 * variance))


def test_a_full_batch_has_a_noise_floor() -> None:
    """E3: on a quadratic with H = I the loss that additive noise keeps up is eta^2 tr(H) v / 2 / (1 - A)."""
    rounds, rate, c = 5000, 1e-3, 0.5
    arguments = dict(
        alignment=np.full(rounds, c), noise_variance=0.3, devices=5, contraction=0.998, start=0.0, rate=rate,
        smoothness=1.0, rank=20.0, dimension=20, batch_variance=0.0, batch=64,
    )  # fmt: skip
    assert paper.convergence_bound(**arguments) == 0.0
    floor = paper.convergence_bound(**arguments, corrections=Corrections(additive_noise=True))
    assert floor == pytest.approx(rate**2 * 20 / 2 * 0.3 / (5 * c) ** 2 / 0.002, rel=1e-3)
    noisy = paper.convergence_bound(**(arguments | {"batch_variance": 2.0}))
    assert noisy == pytest.approx(floor * 2.0 / 64 * (20 * 20 + 40) / 22 / 20, rel=1e-9)


def test_a_quadratic_ends_where_the_additive_bound_says() -> None:
    """Exact gradients along random directions of H = I, payload noise of variance v: measured against the bound."""
    draws = np.random.default_rng(5)
    d, rounds, rate, v, runs = 20, 4000, 1e-3, 0.5, 400
    w = np.ones((runs, d))
    for _ in range(rounds):
        z = draws.choice([-1.0, 1.0], size=(runs, d))
        w -= rate * ((w * z).sum(axis=1) + math.sqrt(v) * draws.standard_normal(runs))[:, None] * z
    # one round keeps (1 - eta)^2 + eta^2 (d - 1) of the squared distance
    contraction = (1.0 - rate) ** 2 + rate**2 * (d - 1)
    bound = paper.convergence_bound(
        np.full(rounds, 1.0), v, 1, contraction, d / 2, rate, 1.0, d, d, 0.0, 1, Corrections(additive_noise=True)
    )
    assert 0.5 * (w**2).sum(axis=1).mean() == pytest.approx(bound, rel=0.05)


@pytest.mark.parametrize("snr_db, static_db, reversed_db", [(-25, 0.43, 1.4), (-20, 0.72, 2.8), (0, 1.18, 4.5)])
def test_the_baselines_lose_what_they_were_found_to(snr_db: float, static_db: float, reversed_db: float) -> None:
    """privacy.md 3.4, K = 5, T = 2000, A = 0.998, Rayleigh, against the optimum."""
    w, power = round_weights(2000, 0.998), 10 ** (snr_db / 10)
    lost = []
    for seed in range(15):  # the deepest fades weigh heavily, and nobody can do anything about them
        gains = rayleigh(seed, 2000, 5)
        schedules = (
            paper.analog_schedule(gains, power, 1.0, 1.0, 0.998, 0.62859, MENDED),
            paper.static_schedule(gains, power, 1.0, 1.0, 0.62859),
            paper.reversed_schedule(gains, power, 1.0, 1.0, 0.998, 0.62859, MENDED),
        )
        best, static, backwards = ((w / c**2).sum() for c in schedules)
        lost.append((10 * math.log10(static / best), 10 * math.log10(backwards / best)))
    assert np.median(lost, axis=0) == pytest.approx([static_db, reversed_db], rel=0.3)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.integers(1, 6),
    st.floats(-40, 40),
    st.floats(0.5, 1.0),
    st.floats(1e-3, 20.0),
    st.sampled_from(["analog", "reversed", "static", "sign"]),
)
def test_corrected_rules_keep_the_budget_and_the_power(
    seed: int, rounds: int, devices: int, snr_db: float, contraction: float, rho: float, which: str
) -> None:
    gains, power, gamma = rayleigh(seed, rounds, devices), 10 ** (snr_db / 10), 1.0
    mended = Corrections.all()
    if which == "analog":
        c = paper.analog_schedule(gains, power, 1.0, gamma, contraction, rho, mended)
    elif which == "reversed":
        c = paper.reversed_schedule(gains, power, 1.0, gamma, contraction, rho, mended)
    elif which == "static":
        c = paper.static_schedule(gains, power, 1.0, gamma, rho, mended)
    else:
        c = paper.sign_schedule(gains, power, 1.0, 0.4, contraction, rho, mended)
    assert math.fsum(2.0 * c**2 / 0.5) <= rho
    assert (c[:, None] ** 2 <= power * gains * (1 + 1e-12)).all()


def test_impossible_gains_are_explained() -> None:
    with pytest.raises(InputError, match="allowed"):
        paper.static_schedule(np.zeros((3, 2)), 1.0, 1.0, 1.0, 1.0)
