from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import (
    Charge,
    epsilon,
    fits,
    gaussian_delta,
    gaussian_epsilon,
    largest_mu,
    noise_multiplier,
    noise_scale,
    rounds_allowed,
)
from radio.errors import InputError

DELTA = 1e-5


# Calibrated independently (dp-accounting's own calibration), n = 1000 examples a device and B = 64.
PUBLISHED = [(5.0, 8000, 5.168), (8.0, 8000, 3.519), (5.0, 2000, 2.675), (1.0, 8000, 21.39)]


@pytest.mark.parametrize(("target", "rounds", "multiplier"), PUBLISHED)
def test_the_published_multipliers_are_the_edge(target: float, rounds: int, multiplier: float) -> None:
    assert epsilon([(Charge(0.064, multiplier * 1.0003), rounds)], DELTA) <= target
    assert epsilon([(Charge(0.064, multiplier * 0.9997), rounds)], DELTA) > target


def test_calibration_finds_the_smallest_multiplier() -> None:
    multiplier = noise_multiplier(5.0, DELTA, 0.064, 8000)
    assert multiplier == pytest.approx(5.168, rel=3e-4)
    assert epsilon([(Charge(0.064, multiplier), 8000)], DELTA) <= 5.0
    # smallest: a twentieth of a percent less noise no longer certifies
    assert epsilon([(Charge(0.064, multiplier * 0.9995), 8000)], DELTA) > 5.0


# mu of the exact Gaussian budget at delta = 1e-5 (largest mu whose mu-GDP curve passes through the point).
@pytest.mark.parametrize(
    ("target", "mu"), [(0.5, 0.1422), (1.0, 0.2681), (2.0, 0.5016), (5.0, 1.1212), (8.0, 1.6660), (10.0, 2.0004)]
)
def test_gaussian_budget_table(target: float, mu: float) -> None:
    assert gaussian_epsilon(mu, DELTA) == pytest.approx(target, rel=6e-4)
    assert 1.0 / noise_multiplier(target, DELTA, 1.0, 1) == pytest.approx(mu, abs=8e-5)
    # T rounds need sqrt(T) times the noise of one
    assert noise_multiplier(target, DELTA, 1.0, 400) == pytest.approx(20.0 / mu, rel=6e-4)


@settings(deadline=None, derandomize=True)
@given(target=st.floats(0.01, 30.0), delta=st.floats(1e-10, 0.3))
def test_the_largest_signal_is_the_inverse_and_errs_on_the_safe_side(target: float, delta: float) -> None:
    mu = largest_mu(target, delta)
    assert gaussian_delta(mu, target) <= delta < gaussian_delta(mu * (1 + 1e-9), target)
    assert gaussian_epsilon(mu, delta) <= target
    assert gaussian_epsilon(mu, delta) == pytest.approx(target, rel=1e-6)


def test_noise_for_a_mix_of_rounds_is_scaled_as_a_whole() -> None:
    shape = [(Charge(1.0, 1.0), 30), (Charge(1.0, 3.0), 90)]
    scale = noise_scale(2.0, DELTA, shape)
    assert scale == pytest.approx(math.sqrt(30 + 90 / 9) / largest_mu(2.0, DELTA), rel=1e-4)
    for factor, fit in ((1.0, True), (0.9995, False)):
        scaled = [(Charge(1.0, factor * scale * c.noise_multiplier), n) for c, n in shape]
        assert fits(scaled, 2.0, DELTA) is fit


@settings(max_examples=3, deadline=None, derandomize=True)
@given(
    rate=st.sampled_from([0.05, 0.3]),
    multiplier=st.floats(1.0, 6.0),
    less=st.floats(0.3, 1.0),
    more=st.floats(1.0, 3.0),
    count=st.integers(2, 30),
)
def test_what_a_charge_covers_never_certifies_more(
    rate: float, multiplier: float, less: float, more: float, count: int
) -> None:
    dear, cheap = Charge(rate, multiplier), Charge(rate * less, multiplier * more)
    assert dear.covers(cheap) and dear.covers(dear)
    assert not cheap.covers(dear) or cheap == dear
    before = [(Charge(0.1, 2.0), 5)]
    mixed = epsilon([*before, (dear, count // 2), (cheap, count - count // 2)], DELTA)
    assert mixed <= epsilon([*before, (dear, count)], DELTA) * (1 + 1e-8)


def test_rounds_with_and_without_sampling_do_not_cover_each_other() -> None:
    assert not Charge(1.0, 2.0).covers(Charge(0.5, 2.0))
    assert not Charge(0.5, 2.0).covers(Charge(1.0, 9.0))


def test_gaussian_delta_is_the_hockey_stick_divergence() -> None:
    # direct numerical integration of max(0, f(x) - e^eps g(x)) for N(mu, 1) against N(0, 1)
    mu, eps, width = 0.7, 1.3, 1e-4
    total = 0.0
    for i in range(200_000):
        x = -8.0 + (i + 0.5) * width
        total += max(0.0, math.exp(-0.5 * (x - mu) ** 2) - math.exp(eps - 0.5 * x * x))
    assert gaussian_delta(mu, eps) == pytest.approx(total * width / math.sqrt(2 * math.pi), rel=1e-6)


def test_unsampled_composition_agrees_with_the_privacy_loss_distribution() -> None:
    # a rate a hair below 1 takes the other road and must arrive at the same place
    exact = epsilon([(Charge(1.0, 20.0), 300)], DELTA)
    assert epsilon([(Charge(1.0 - 1e-9, 20.0), 300)], DELTA) == pytest.approx(exact, rel=2e-3)


def test_unlike_charges_compose() -> None:
    a, b, c = (Charge(0.064, 5.0), 500), (Charge(0.032, 4.0), 300), (Charge(1.0, 30.0), 9)
    together = epsilon([a, b, c], DELTA)
    assert together > max(epsilon([x, y], DELTA) for x, y in ((a, b), (a, c), (b, c)))
    assert together < epsilon([a], DELTA / 3) + epsilon([b], DELTA / 3) + epsilon([c], DELTA / 3)
    assert epsilon([c, b, a], DELTA) == together
    assert epsilon([(a[0], 200), b, (a[0], 300), c], DELTA) == together
    # 9 rounds at 30 are one at 10
    assert epsilon([(Charge(1.0, 30.0), 9)], DELTA) == pytest.approx(gaussian_epsilon(0.1, DELTA), rel=1e-9)


def test_nothing_costs_nothing() -> None:
    assert epsilon([], DELTA) == 0.0
    assert epsilon([(Charge(0.1, 1.0), 0)], DELTA) == 0.0


@settings(max_examples=3, deadline=None, derandomize=True)
@given(
    rate=st.floats(0.005, 1.0),
    multiplier=st.floats(1.0, 50.0),
    rounds=st.integers(1, 500),
)
def test_epsilon_grows_with_rate_and_rounds_and_falls_with_noise(rate: float, multiplier: float, rounds: int) -> None:
    here = epsilon([(Charge(rate, multiplier), rounds)], DELTA)
    slack = 1e-3 * here + 1e-6  # bins differ from charge to charge
    assert epsilon([(Charge(rate, multiplier * 1.2), rounds)], DELTA) <= here + slack
    assert epsilon([(Charge(rate * 0.8, multiplier), rounds)], DELTA) <= here + slack
    assert epsilon([(Charge(rate, multiplier), 2 * rounds)], DELTA) >= here - slack
    # sampling amplifies: never worse than the same noise without it
    assert here <= gaussian_epsilon(math.sqrt(rounds) / multiplier, DELTA) * 1.02 + 0.02


@settings(max_examples=3, deadline=None, derandomize=True)
@given(
    rate=st.sampled_from([0.016, 0.064, 1.0]),
    multiplier=st.floats(2.0, 20.0),
    spent=st.integers(0, 100),
    target=st.floats(0.5, 8.0),
)
def test_rounds_allowed_is_the_edge(rate: float, multiplier: float, spent: int, target: float) -> None:
    charge, before = Charge(rate, multiplier), [(Charge(0.05, 3.0), spent)]
    allowed = rounds_allowed(charge, before, target, DELTA, limit=300)
    if allowed:
        assert epsilon([*before, (charge, allowed)], DELTA) <= target
    if allowed < 300:
        assert epsilon([*before, (charge, allowed + 1)], DELTA) > target


def test_sizing_and_counting_agree() -> None:
    multiplier = noise_multiplier(1.0, DELTA, 0.064, 200)
    charge = Charge(0.064, multiplier)
    assert rounds_allowed(charge, [], 1.0, DELTA) >= 200
    assert rounds_allowed(charge, [(charge, 150)], 1.0, DELTA) == rounds_allowed(charge, [], 1.0, DELTA) - 150


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Charge(0.0, 1.0),
        lambda: Charge(1.1, 1.0),
        lambda: Charge(0.5, 0.0),
        lambda: Charge(0.5, math.nan),
        lambda: epsilon([], 0.0),
        lambda: epsilon([], 1.0),
        lambda: noise_multiplier(0.0, DELTA, 0.1, 10),
        lambda: noise_multiplier(math.inf, DELTA, 0.1, 10),
        lambda: noise_multiplier(1.0, DELTA, 0.1, 0),
        lambda: rounds_allowed(Charge(0.1, 1.0), [], -1.0, DELTA),
        lambda: noise_scale(1.0, DELTA, []),
        lambda: largest_mu(-1.0, DELTA),
        lambda: largest_mu(1.0, 1e-12),
        lambda: fits([], math.nan, DELTA),
    ],
)
def test_impossible_arguments_are_explained(bad: object) -> None:
    with pytest.raises(InputError, match="allowed"):
        bad()  # type: ignore[operator]


def test_the_accountant_is_imported_only_when_needed() -> None:
    modules = "privacy.comparison, privacy.filters, privacy.ledger, privacy.mechanism"
    script = f"import sys, {modules}; print('dp_accounting' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_wide_bins_certify_too_and_cost_less_than_a_percent():
    loose, exact = (noise_multiplier(2.0, 1e-5, 0.05, 300, tight=tight) for tight in (False, True))
    assert exact <= loose <= 1.01 * exact
    assert fits([(Charge(0.05, loose), 300)], 2.0, 1e-5)
