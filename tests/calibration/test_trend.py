"""Slopes of time series, with white and with correlated residuals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from calibration.trend import regress, slope


@pytest.mark.parametrize(("count", "memory", "least"), [(12, 0.0, 276), (60, 0.0, 276), (60, 0.5, 264)])
def test_intervals_of_a_slope_cover(count: int, memory: float, least: int) -> None:
    """95 % of 300 are 285 +- 3.8; a short series does not tell all of its memory."""
    hits = 0
    for seed in range(300):
        draws = np.random.default_rng(seed)
        t = 1e5 + 10.0 * np.arange(count)
        noise = lfilter([1.0], [1.0, -memory], draws.standard_normal(count + 50))[50:]
        truth = draws.normal(0, 0.1)
        found, error = slope(t, 3e4 + truth * t + noise)
        hits += abs(found - truth) <= 1.96 * error
    assert hits >= least


def test_several_columns() -> None:
    draws = np.random.default_rng(1)
    columns = draws.normal(36.0, 1.0, (200, 2))
    found, errors = regress(5.0 + columns @ [2.0, -3.0] + 0.1 * draws.standard_normal(200), columns)
    assert np.allclose(found, [2.0, -3.0], atol=4 * errors.max()) and np.allclose(errors, 0.1 / np.sqrt(200), rtol=0.35)
