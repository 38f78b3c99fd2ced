from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import Charge, epsilon, largest_mu, noise_multiplier
from privacy.schedule import levels, schedule_charges, schedule_epsilon, schedule_scale
from radio.errors import InputError

DELTA = 1e-5


def decaying(rounds: int, contraction: float) -> np.ndarray:
    """Multipliers that minimise sum_t A^(T-t) z_t^2 under a budget on sum_t 1/z_t^2: z_t ~ A^(-(T-t)/4)."""
    return contraction ** (-(rounds - 1 - np.arange(rounds)) / 4.0)


@settings(deadline=None, derandomize=True)
@given(z=st.lists(st.floats(0.1, 1e3), min_size=1, max_size=200), at_most=st.integers(1, 50))
def test_levels_are_few_never_above_and_in_order(z: list[float], at_most: int) -> None:
    rounded = levels(z, at_most)
    given_ = np.array(z)
    assert len(np.unique(rounded)) <= at_most
    assert (rounded <= given_).all() and set(rounded) <= set(z)
    order = np.argsort(given_, kind="stable")
    assert (np.diff(rounded[order]) >= 0).all()
    if len(np.unique(z)) <= at_most:
        assert (rounded == given_).all()


def test_levels_lose_as_little_as_the_best_cells_can() -> None:
    # x = 1/z^2 = e^(-8 s), s uniform: n cells lose (integral of sqrt f)^2 / 2n at best, of a mean cost of 1/8; with
    # f(x) = 1/(8x) on (e^-8, 1) that is 8 * (2/sqrt 8 * (1 - e^-4))^2 / 80
    z = decaying(8000, math.exp(-2.0 * 8.0 / 8000))
    lost = (levels(z, 40) ** -2.0).sum() / (z**-2.0).sum() - 1.0
    assert lost == pytest.approx(8 * (2 / math.sqrt(8) * (1 - math.exp(-4))) ** 2 / 80, rel=0.03)


def test_without_sampling_a_schedule_is_the_closed_form() -> None:
    shape = decaying(2000, 0.998)
    scale = schedule_scale(5.0, DELTA, 1.0, shape)
    exact = math.sqrt((shape**-2.0).sum()) / largest_mu(5.0, DELTA)
    assert exact <= scale <= exact * (1 + 1e-4)
    assert schedule_epsilon(1.0, scale * shape, DELTA) <= 5.0
    assert schedule_epsilon(1.0, scale * shape * 0.9995, DELTA) > 5.0


def test_a_flat_schedule_is_the_plain_calibration() -> None:
    flat = np.full(500, 3.0)
    assert 3.0 * schedule_scale(2.0, DELTA, 0.05, flat) == pytest.approx(
        noise_multiplier(2.0, DELTA, 0.05, 500), rel=1e-4
    )
    assert schedule_charges(0.05, flat) == [(Charge(0.05, 3.0), 500)]


def test_with_sampling_the_scale_certifies_and_is_near_the_best() -> None:
    shape = levels(decaying(200, 0.99), 3)
    scale = schedule_scale(2.0, DELTA, 0.05, shape)
    assert schedule_epsilon(0.05, scale * shape, DELTA) <= 2.0
    assert schedule_epsilon(0.05, scale * shape * 0.995, DELTA) > 2.0


def test_rounding_to_levels_overstates_and_by_little() -> None:
    multipliers = 2.0 * decaying(12, 0.9)
    exact = epsilon([(Charge(0.05, z), 1) for z in multipliers], DELTA)
    rounded = epsilon(schedule_charges(0.05, multipliers, 6), DELTA)
    assert exact < rounded <= 1.05 * exact


@pytest.mark.parametrize(
    "bad", [[0.0], [math.nan, 1.0], [[1.0, 2.0]], [math.inf]], ids=["zero", "nan", "shape", "infinite"]
)
def test_impossible_schedules_are_explained(bad: list) -> None:
    with pytest.raises(InputError, match="allowed"):
        levels(bad)
    with pytest.raises(InputError, match="allowed"):
        schedule_scale(1.0, DELTA, 0.5, bad)


def test_no_rounds_and_no_levels_are_explained() -> None:
    with pytest.raises(InputError, match="no rounds"):
        schedule_scale(1.0, DELTA, 0.5, [])
    with pytest.raises(InputError, match="0 levels"):
        levels([1.0], 0)
    assert schedule_epsilon(0.5, [], DELTA) == 0.0
