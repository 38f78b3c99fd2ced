"""Intervals against scipy's own t-tests."""

from __future__ import annotations

import pytest
from scipy.stats import ttest_1samp, ttest_rel

from fl.studies.statistics import estimate, paired

ONE = {1: 0.76, 2: 0.781, 3: 0.773, 5: 0.79}
OTHER = {1: 0.75, 2: 0.79, 3: 0.76, 4: 0.5}


def test_the_interval_is_student_s():
    found = estimate(list(ONE.values()))
    assert found is not None and found.half is not None
    low, high = ttest_1samp(list(ONE.values()), 0.0).confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half, found.n) == (pytest.approx(low), pytest.approx(high), 4)


def test_one_value_has_no_interval_and_none_no_mean():
    single = estimate([0.5])
    assert single is not None and single.half is None and single.mean == 0.5
    assert estimate([]) is None


def test_differences_are_of_seeds_that_both_have():
    found = paired(ONE, OTHER)
    assert found is not None and found.half is not None and found.n == 3
    common = [1, 2, 3]
    low, high = ttest_rel([ONE[s] for s in common], [OTHER[s] for s in common]).confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half) == (pytest.approx(low), pytest.approx(high))
