from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from privacy.noise import ReproducibleSecret, discrete_gaussian
from privacy.power import clip_probability, payload_peak
from privacy.power.peak import backoff_for, symbols_to_spread
from radio.errors import InputError


def test_clipping_at_the_peak_is_as_rare_as_stated() -> None:
    assert clip_probability(4.0) == pytest.approx(6.334e-5, rel=1e-3)  # 2 Q(4)
    sigma, count, backoff = 10_000, 20_000, 2.0
    noise = discrete_gaussian(sigma, count, ReproducibleSecret(2, "clip"))
    at_the_edge = np.abs(30_000 + noise) > payload_peak(sigma, 30_000, backoff)  # the worst payload
    bound = clip_probability(backoff)
    assert at_the_edge.mean() < bound  # half of it: the other side is far away
    assert at_the_edge.mean() == pytest.approx(bound / 2, abs=5 * math.sqrt(bound / 2 / count))


@pytest.mark.parametrize("arguments", [(math.nan, 1.0, 4.0), (1.0, 0.0, 4.0), (1.0, 1.0, -1.0), (1.0, 1.0, math.inf)])
def test_impossible_peaks_are_explained(arguments: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="allowed"):
        payload_peak(*arguments)


def test_forty_thousand_transmissions_need_nearly_seven_deviations() -> None:
    """K T 2 Q(b) <= 1e-6 for K = 5, T = 8000 is b = 6.67 (privacy.md 3.3); delta counts it 1 + e^eps times."""
    assert backoff_for(40_000, (1 + math.exp(5.0)) * 1e-6, 5.0).deviations == pytest.approx(6.67, abs=0.005)
    assert backoff_for(40_000, 1e-6, 5.0).deviations == pytest.approx(
        norm.isf(1e-6 / 80_000 / (1 + math.e**5)), rel=1e-6
    )


@given(st.integers(1, 10**9), st.floats(1e-12, 0.5), st.floats(0.0, 20.0))
def test_clipping_costs_no_more_than_was_allowed(transmissions: int, delta: float, epsilon: float) -> None:
    made = backoff_for(transmissions, delta, epsilon)
    assert made.delta <= delta
    assert made.delta >= transmissions * clip_probability(made.deviations)
    if made.deviations > 0.01:  # and it is not wasted
        assert made.delta == pytest.approx(delta, rel=1e-6)


@pytest.mark.parametrize(
    "arguments", [(0, 1e-6, 1.0), (10, 0.0, 1.0), (10, 1.0, 1.0), (10, 1e-6, -1.0), (9, 1e-6, math.nan)]
)
def test_impossible_backoffs_are_explained(arguments: tuple[int, float, float]) -> None:
    with pytest.raises(InputError, match="allowed"):
        backoff_for(*arguments)


@given(st.floats(0.1, 10.0), st.floats(0.0, 1000.0), st.floats(1.0, 8.0))
def test_a_scalar_spread_over_symbols_keeps_its_peak_in_the_power_of_its_second_moment(
    gamma: float, sigma: float, backoff: float
) -> None:
    symbols = symbols_to_spread(gamma, sigma, backoff)
    second_moment = gamma**2 + sigma**2
    assert (gamma + backoff * sigma) ** 2 / symbols <= second_moment * (1 + 1e-9)
    assert symbols == 1 or (gamma + backoff * sigma) ** 2 / (symbols - 1) > second_moment * (1 - 1e-9)
