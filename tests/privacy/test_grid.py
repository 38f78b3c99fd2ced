from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.grid import STEPS_PER_CLIP, Grid
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


def test_the_edge_is_reached() -> None:
    grid = Grid(2.0, 4.0)
    assert grid.project(np.array([[2.0, -5.0, math.inf, math.nan]])).tolist() == [STEPS_PER_CLIP, -STEPS_PER_CLIP, 0, 0]
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
