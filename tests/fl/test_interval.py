"""The Wilson interval against the equation it solves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from fl.interval import Z_95, wilson_interval


@given(successes=st.integers(0, 300), more=st.integers(0, 300))
def test_wilson_solves_its_equation(successes: int, more: int) -> None:
    """The ends are where |p - share| is 1.96 standard errors of p (Wilson 1927), found here by root search."""
    n = successes + more
    if not n:
        assert wilson_interval(0.0, 0) == (0.0, 1.0)
        return
    share = successes / n
    low, high = wilson_interval(share, n)
    z = Z_95

    def distance(p: float) -> float:
        return (p - share) ** 2 - z * z * p * (1 - p) / n

    assert low == pytest.approx(
        brentq(distance, 0, share) if 0 < share < 1 else (0 if share == 0 else n / (n + z * z)), abs=1e-9
    )
    assert high == pytest.approx(
        brentq(distance, share, 1) if 0 < share < 1 else (1 if share == 1 else z * z / (n + z * z)), abs=1e-9
    )
