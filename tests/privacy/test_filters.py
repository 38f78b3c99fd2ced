from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import Charge, epsilon, largest_mu, rounds_allowed
from privacy.filters import GdpFilter, RdpFilter, adaptive_filter, best_order
from radio.errors import BudgetError, InputError

DELTA = 1e-5
multipliers = st.floats(0.3, 60.0)


@settings(deadline=None, derandomize=True)
@given(target=st.floats(0.1, 10.0), asked=st.lists(multipliers, max_size=60))
def test_without_sampling_the_filter_admits_exactly_what_fits(target: float, asked: list[float]) -> None:
    budget, spent, admitted = GdpFilter(target, DELTA), 0.0, []
    for z in asked:
        charge = Charge(1.0, z)
        fits = spent + z**-2.0 <= largest_mu(target, DELTA) ** 2
        assert budget.would_exceed(charge) == (not fits)
        if fits:
            budget.spend(charge)
            spent += z**-2.0
            admitted.append((charge, 1))
        else:
            with pytest.raises(BudgetError, match="Nothing was transmitted"):
                budget.spend(charge)
        assert budget.left == pytest.approx(largest_mu(target, DELTA) ** 2 - spent, abs=1e-12)
    assert epsilon(admitted, DELTA) <= target
    assert budget.epsilon() == pytest.approx(epsilon(admitted, DELTA), rel=1e-9)
    assert budget.epsilon() <= target


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    target=st.floats(0.5, 8.0),
    asked=st.lists(st.tuples(st.sampled_from([0.01, 0.064, 0.3]), st.floats(0.8, 20.0)), max_size=25),
)
def test_with_sampling_the_filter_never_passes_its_target(target: float, asked: list[tuple[float, float]]) -> None:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    budget = RdpFilter(target, DELTA, best_order(target, DELTA, Charge(0.064, 3.0)))
    reference = RdpAccountant([budget.order])
    for rate, z in asked:
        charge = Charge(rate, z)
        before = budget.epsilon()
        if budget.would_exceed(charge):
            with pytest.raises(BudgetError):
                budget.spend(charge)
            assert budget.epsilon() == before
        else:
            budget.spend(charge)
            reference.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(z)))
    assert budget.epsilon() <= target
    assert budget.epsilon() == pytest.approx(reference.get_epsilon(DELTA), rel=1e-6, abs=1e-9)


def test_how_many_rounds_a_filter_admits() -> None:
    for charge, at_least in ((Charge(0.064, 5.168), 0.85), (Charge(1.0, 80.0), 1.0)):
        budget, count = adaptive_filter(5.0, DELTA, charge), 0
        while not budget.would_exceed(charge):
            budget.spend(charge)
            count += 1
        fixed_ahead = rounds_allowed(charge, [], 5.0, DELTA, limit=10_000)
        assert at_least * fixed_ahead <= count <= fixed_ahead


def test_the_order_suits_the_expected_round() -> None:
    charge = Charge(0.05, 2.0)
    best = RdpFilter(3.0, DELTA, best_order(3.0, DELTA, charge))
    counts = {}
    for order in (best.order, best.order - 2, best.order + 3):
        budget, counts[order] = RdpFilter(3.0, DELTA, order), 0
        while not budget.would_exceed(charge):
            budget.spend(charge)
            counts[order] += 1
    assert max(counts, key=counts.__getitem__) == best.order


def test_impossible_arguments_are_explained() -> None:
    with pytest.raises(InputError, match="filter without sampling"):
        GdpFilter(1.0, DELTA).would_exceed(Charge(0.5, 1.0))
    with pytest.raises(InputError, match="order 2 holds nothing"):
        RdpFilter(0.5, DELTA, 2)
    with pytest.raises(InputError, match="order 1; allowed"):
        RdpFilter(0.5, DELTA, 1)
    for bad in ((0.0, DELTA), (math.inf, DELTA), (1.0, 0.0)):
        with pytest.raises(InputError, match="allowed"):
            GdpFilter(*bad)
        with pytest.raises(InputError, match="allowed"):
            adaptive_filter(*bad, Charge(0.1, 1.0))
