"""The array form of a round's privacy loss against dp-accounting's own, point by point and composed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from privacy.gaussian_loss import gaussian_loss

ROUNDS = 200


@pytest.mark.parametrize("rate", [1e-3, 0.02, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("multiplier", [0.2, 0.8, 1.5, 5.0, 50.0])
def test_it_is_the_librarys_distribution(multiplier: float, rate: float) -> None:
    interval = 1e-3 * max(1.0, (1.5 / multiplier) ** 2)
    ours = gaussian_loss(multiplier, rate, interval)
    library = pld.from_gaussian_mechanism(multiplier, sampling_prob=rate, value_discretization_interval=interval)
    losses = np.linspace(0.0, 3.0, 31)
    assert ours.get_delta_for_epsilon(losses) == pytest.approx(
        library.get_delta_for_epsilon(losses), rel=1e-9, abs=1e-15
    )
    composed, expected = ours.self_compose(ROUNDS), library.self_compose(ROUNDS)
    # rounding of the convolutions: 3e-14 of epsilon over delta
    assert composed.get_epsilon_for_delta(1e-5) == pytest.approx(
        expected.get_epsilon_for_delta(1e-5), rel=3e-9, abs=1e-12
    )


@pytest.mark.parametrize("rate", [1e-3, 0.25])
def test_a_bin_that_ends_at_the_bound_of_the_loss_is_none_too_many(rate: float) -> None:
    """No loss is below log(1 - q) on removal or above -log(1 - q) on addition: bins that touch the bound are met exactly."""
    interval = -math.log1p(-rate) / 64
    ours, library = (
        made.self_compose(3).get_epsilon_for_delta(1e-6)
        for made in (
            gaussian_loss(2.0, rate, interval),
            pld.from_gaussian_mechanism(2.0, sampling_prob=rate, value_discretization_interval=interval),
        )
    )
    assert math.isfinite(ours) and ours == pytest.approx(library, rel=1e-8)
