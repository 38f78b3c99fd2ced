from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting import Charge
from privacy.grid import STEPS_PER_CLIP, Grid
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret, SystemSecret
from radio.errors import InputError

any_float = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    values=st.lists(st.lists(any_float, min_size=2, max_size=2), min_size=1, max_size=12),
    clip=st.floats(1e-6, 1e6),
    saturation=st.one_of(st.none(), st.floats(1e-3, 1e3)),
    data=st.data(),
)
def test_leaving_out_any_example_moves_each_sum_by_at_most_the_clip(
    values: list[list[float]], clip: float, saturation: float | None, data: st.DataObject
) -> None:
    grid = Grid(clip, 8.0, saturation)
    rows = np.array(values)
    out = data.draw(st.integers(0, len(values) - 1))
    moved = np.abs(grid.project(rows) - grid.project(np.delete(rows, out, axis=0)))
    assert moved.max() <= STEPS_PER_CLIP
    assert math.hypot(*moved.tolist()) <= grid.sensitivity_steps(2) * (1 + 1e-15)


def test_the_edge_is_reached() -> None:
    grid = Grid(2.0, 4.0)
    assert grid.project(np.array([[2.0, -5.0, math.inf, math.nan]])).tolist() == [STEPS_PER_CLIP, -STEPS_PER_CLIP, 0, 0]
    assert grid.sensitivity(1) == 0.5
    assert grid.sensitivity(4) == 1.0
    assert grid.step == pytest.approx(2.0 / 4.0 / 2**20, rel=1e-15)


def test_payload_is_the_mean_with_fixed_denominator() -> None:
    values = np.random.default_rng(7).normal(size=(50, 3))
    grid = Grid(clip=1.0, denominator=40.0)
    expected = np.clip(values, -1.0, 1.0).sum(axis=0) / 40.0
    np.testing.assert_allclose(grid.payload(grid.project(values)), expected, atol=50 * 2**-21 / 40.0)
    # the order of the examples cannot matter, to the last bit
    assert (grid.project(values) == grid.project(values[::-1])).all()


def test_an_empty_batch_is_zero_and_a_large_one_saturates() -> None:
    grid = Grid(clip=1.0, denominator=4.0)
    assert grid.project(np.zeros((0, 2))).tolist() == [0, 0]
    full = grid.payload(grid.project(np.full((9, 1), 3.0)))
    assert full[0] == pytest.approx(1.0, abs=grid.step)
    assert Grid(1.0, 4.0, saturation=0.25).project(np.ones((9, 1))).tolist() == [STEPS_PER_CLIP]


@pytest.mark.parametrize("arguments", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, 1.0, 0.0)])
def test_impossible_grids_are_explained(arguments: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="allowed"):
        Grid(*arguments)


def test_noise_of_the_mechanism_is_multiplier_root_scalars_clip_over_denominator() -> None:
    mechanism = OwnNoise(Grid(clip=3.0, denominator=64.0), 4, Charge(0.064, 5.168))
    expected = 5.168 * 2.0 * 3.0 / 64.0
    assert expected <= mechanism.noise_std <= expected * (1 + 1e-6)
    draws = np.stack([mechanism.release(np.zeros((0, 4)), SystemSecret()) for _ in range(2000)])
    # 8000 draws: the sample variance has a relative standard deviation of sqrt(2/8000) = 0.016
    assert draws.var() / mechanism.noise_std**2 == pytest.approx(1.0, abs=6 * 0.016)
    assert abs(draws.mean()) < 6 * mechanism.noise_std / math.sqrt(8000)
    correlation = np.corrcoef(draws.T) - np.eye(4)
    assert np.abs(correlation).max() < 6 / math.sqrt(2000)


def test_release_is_clean_plus_noise_on_the_grid_and_a_repeated_round_repeats() -> None:
    mechanism = OwnNoise(Grid(1.0, 8.0), 2, Charge(0.1, 1.5))
    values = np.array([[0.5, -0.25], [2.0, math.nan]])
    np.testing.assert_allclose(mechanism.clean(values), [1.5 / 8, -0.25 / 8], atol=1e-6)

    def once(round_index: int) -> np.ndarray:
        return mechanism.release(values, ReproducibleSecret(1, "device", 0).stream("round", round_index, "noise"))

    assert (once(3) == once(3)).all()
    assert (once(3) != once(4)).all()
    steps = once(3) / mechanism.grid.step
    assert (steps == np.rint(steps)).all()
    with pytest.raises(ValueError, match="set up for 2"):
        mechanism.release(np.zeros((1, 3)), SystemSecret())
