"""Mean, spread and the latest of some starts, against laws that are known."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.lateness import lateness


@pytest.mark.parametrize("count", [16, 64])
def test_intervals_cover_for_even_draws(count: int) -> None:
    """Uniform in [a, a + w]: mean a + w / 2, standard deviation w / sqrt(12), end a + w. 95 % of 400 are 380 +- 4.4."""
    hits = np.zeros(3)
    for seed in range(400):
        draws = np.random.default_rng(seed)
        low, width = draws.uniform(0, 0.01), draws.uniform(0.01, 0.1)
        found = lateness(low + width * draws.random(count), [1e-7] * count)
        hits += [
            found.mean.covers(low + width / 2),
            found.spread.covers(width / np.sqrt(12)),
            found.latest.covers(low + width),
        ]
        assert found.latest_seen <= low + width
    assert (hits >= 364).all(), hits


def test_intervals_cover_for_normal_draws() -> None:
    hits = np.zeros(2)
    for seed in range(400):
        found = lateness(np.random.default_rng(seed).normal(3.0, 0.5, 16), [1e-6] * 16)
        hits += [found.mean.covers(3.0), found.spread.covers(0.5)]
    assert hits[0] >= 370 and hits[1] >= 340  # the fourth moment of 16 draws is a rough guide


def test_starts_that_do_not_jitter_keep_their_own_error() -> None:
    found = lateness([0.02] * 5, [6e-7] * 5)
    assert found.mean.standard_error == pytest.approx(6e-7) and found.latest.value == 0.02 and found.spread.value == 0.0
