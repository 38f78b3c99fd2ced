from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import Charge, epsilon, gaussian_epsilon, largest_mu
from privacy.comparison import (
    CKS,
    EXACT,
    PAPER,
    RULES,
    ZCDP,
    advanced_composition,
    inverse_c,
    rdp_epsilon,
)

DELTA = 1e-5

# Largest rho at delta = 1e-5, as printed in the project's reference: R_dp, zCDP, better conversion, exact, advanced
# composition over 1,000 and 8,000 rounds, and the epsilon really spent by a design for R_dp.
TABLE = [
    (0.5, ".00622", ".00531", ".00851", ".01011", "1.3e-4", "1.1e-4", "0.384"),
    (1.0, ".02429", ".02082", ".03056", ".03593", "4.9e-4", "4.4e-4", "0.807"),
    (2.0, ".09280", ".08005", ".10826", ".12578", "1.8e-3", "1.7e-3", "1.688"),
    (5.0, ".51351", ".44962", ".55097", ".62859", "9.6e-3", "8.7e-3", "4.445"),
    (8.0, "1.18491", "1.04914", "1.22971", "1.38783", ".0212", ".0192", "7.274"),
    (10.0, "1.74043", "1.55036", "1.78270", "2.00089", ".0305", ".0277", "9.180"),
]


def last_digit(printed: str) -> float:
    digits, _, exponent = printed.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"epsilon {row[0]:g}")
def test_the_table_of_budgets_to_the_printed_digits(row: tuple) -> None:
    target, *printed = row
    rules = (*RULES, advanced_composition(1000), advanced_composition(8000))
    shown = [rule.rho(target, DELTA) for rule in rules] + [EXACT.epsilon(PAPER.rho(target, DELTA), DELTA)]
    for value, text in zip(shown, printed, strict=True):
        assert value == pytest.approx(float(text), abs=0.5000001 * last_digit(text))


def test_the_papers_own_setting() -> None:
    assert PAPER.rho(5.0, 0.01) == pytest.approx(1.108, abs=5e-4)
    assert EXACT.rho(5.0, 0.01) == pytest.approx(1.542, abs=5e-4)
    assert EXACT.epsilon(PAPER.rho(5.0, 0.01), 0.01) == pytest.approx(3.98, abs=5e-3)
    for target, gain_db in ((1.0, 3.45), (0.5, 4.71)):
        assert 10 * math.log10(EXACT.rho(target, 0.01) / PAPER.rho(target, 0.01)) == pytest.approx(gain_db, abs=5e-3)


@settings(deadline=None, derandomize=True)
@given(target=st.floats(0.05, 20.0), delta=st.floats(1e-9, 0.05))
def test_rules_invert_and_none_admits_more_than_the_exact_one(target: float, delta: float) -> None:
    for rule in (*RULES, advanced_composition(1000)):
        rho = rule.rho(target, delta)
        assert rule.epsilon(rho, delta) == pytest.approx(target, rel=1e-7)
        assert rho <= EXACT.rho(target, delta) * (1 + 1e-7)


@settings(deadline=None, derandomize=True)
@given(rho=st.floats(1e-3, 5.0), delta=st.floats(1e-9, 0.05))
def test_the_papers_bound_is_the_tail_of_the_privacy_loss(rho: float, delta: float) -> None:
    """Liu and Simeone: the loss is N(rho, 2 rho); P(|loss| > epsilon) <= delta with Mills' bound of either tail,
    2 Q(x) <= sqrt(2/pi) e^(-x^2/2) / x at x = (epsilon - rho) / sqrt(2 rho)."""
    x = (PAPER.epsilon(rho, delta) - rho) / math.sqrt(2 * rho)
    assert math.sqrt(2 / math.pi) * math.exp(-x * x / 2) / x == pytest.approx(delta, rel=1e-9)
    q = inverse_c(1 / delta)
    assert math.sqrt(math.pi) * q * math.exp(q * q) == pytest.approx(1 / delta, rel=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rho=st.floats(1e-3, 5.0))
def test_conversions_are_the_minimum_over_orders(rho: float) -> None:
    orders = [1.0 + 10 ** (i / 200 - 3.0) for i in range(1400)]
    log = -math.log(DELTA)
    old = min(rho * a + log / (a - 1) for a in orders)
    new = min(rho * a + (log - math.log(a)) / (a - 1) + math.log1p(-1 / a) for a in orders)
    assert ZCDP.epsilon(rho, DELTA) == pytest.approx(old, rel=1e-4)
    assert CKS.epsilon(rho, DELTA) == pytest.approx(new, rel=1e-4)
    assert CKS.epsilon(rho, DELTA) <= new + 1e-9


def test_advanced_composition_against_its_theorem() -> None:
    rounds, per_round = 1000, 0.004
    noise = math.sqrt(2 * math.log(1.25 / (DELTA / 2 / rounds))) / per_round  # classical Gaussian mechanism
    composed = math.sqrt(2 * rounds * math.log(2 / DELTA)) * per_round + rounds * per_round * math.expm1(per_round)
    assert advanced_composition(rounds).epsilon(rounds / (2 * noise**2), DELTA) == pytest.approx(composed, rel=1e-12)


# dp-accounting 0.6.0: loss distributions 1, 5 and 8 at the exact multiplier sqrt(T / 2 rho), its Rényi accountant more.
@pytest.mark.parametrize(("target", "rounds", "renyi"), [(1.0, 1000, 1.0926), (5.0, 8000, 5.3957), (8.0, 2000, 8.5994)])
def test_agreement_with_dp_accounting_without_sampling(target: float, rounds: int, renyi: float) -> None:
    from dp_accounting import GaussianDpEvent
    from dp_accounting.pld import PLDAccountant

    multiplier = math.sqrt(rounds) / largest_mu(target, DELTA)
    accountant = PLDAccountant()
    accountant.compose(GaussianDpEvent(multiplier), rounds)
    charges = [(Charge(1.0, multiplier), rounds)]
    assert accountant.get_epsilon(DELTA) == pytest.approx(epsilon(charges, DELTA), abs=1e-4)
    assert rdp_epsilon(charges, DELTA) == pytest.approx(renyi, abs=1e-4)


@pytest.mark.parametrize(
    ("rate", "multiplier", "rounds"), [(0.064, 5.168, 8000), (0.016, 0.7, 500), (0.2, 3.0, 100), (0.01, 1.0, 1000)]
)
def test_agreement_with_dp_accounting_with_sampling(rate: float, multiplier: float, rounds: int) -> None:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    accountant.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(multiplier)), rounds)
    charges = [(Charge(rate, multiplier), rounds)]
    ours = epsilon(charges, DELTA)
    assert ours == pytest.approx(accountant.get_epsilon(DELTA), abs=1e-4)
    assert ours < rdp_epsilon(charges, DELTA)


def test_agreement_where_nothing_can_be_told() -> None:
    assert gaussian_epsilon(1e-9, DELTA) == EXACT.epsilon(0.0, DELTA) == CKS.epsilon(0.0, DELTA) == 0.0
