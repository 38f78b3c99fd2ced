"""Sensitivity by brute force: neighbours chosen at random, among them the worst ones, never move further."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.grid import STEPS_PER_CLIP, Grid
from privacy.unit import DEVICE, EXAMPLE, unit_named
from radio.errors import InputError

rows = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=2), max_size=8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(one=rows, other=rows, clip=st.floats(1e-3, 1e3), saturation=st.none() | st.floats(1e-3, 1e3))
def test_neighbours_move_a_release_by_at_most_the_sensitivity(
    one: list[list[float]], other: list[list[float]], clip: float, saturation: float | None
) -> None:
    grid = Grid(clip, 8.0, saturation)
    a, b = np.reshape(one, (-1, 2)), np.reshape(other, (-1, 2))
    whole = grid.project(a) - grid.project(b)
    assert sum(int(x) ** 2 for x in whole) <= DEVICE.sensitivity_squared(grid, 2)
    if len(a):
        example = grid.project(a) - grid.project(a[:-1])
        assert sum(int(x) ** 2 for x in example) <= EXAMPLE.sensitivity_squared(grid, 2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(value=st.floats(-3.0, 3.0), denominator=st.floats(1e-3, 64.0))
def test_a_single_clipped_example_is_sent_as_it_is(value: float, denominator: float) -> None:
    """Also where fewer than one is expected a round, and a payload's limit would cut it to its sign."""
    grid = EXAMPLE.grid(3.0, denominator)
    sent = grid.payload(grid.project([[value]]))[0]
    assert sent == pytest.approx(value / denominator, abs=grid.step)


def test_room_for_uneven_shares_costs_no_sensitivity() -> None:
    roomy, plain = EXAMPLE.grid(3.0, 4.0, saturation=8.0), EXAMPLE.grid(3.0, 4.0)
    assert (roomy.payload_limit, plain.payload_limit) == (24.0, 3.0)
    assert EXAMPLE.sensitivity(roomy, 2) == EXAMPLE.sensitivity(plain, 2)
    twice = np.full((8, 1), 3.0)  # a device with twice the nominal examples, all of one mind
    assert [g.payload(g.project(twice))[0] for g in (roomy, plain)] == pytest.approx([6.0, 3.0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(denominator=st.floats(1e-3, 64.0))
def test_a_device_is_held_at_the_clip_whatever_it_expects(denominator: float) -> None:
    grid = DEVICE.grid(3.0, denominator)
    assert grid.payload_limit == 3.0
    assert DEVICE.sensitivity(grid, 1) == pytest.approx(6.0, abs=2 * grid.step)


def test_both_edges_are_reached() -> None:
    grid = Grid(2.0, 4.0)
    high, low = np.full((9, 3), 5.0), np.full((9, 3), -5.0)
    swing = grid.project(high) - grid.project(low)
    assert sum(int(x) ** 2 for x in swing) == DEVICE.sensitivity_squared(grid, 3)
    assert sum(int(x) ** 2 for x in grid.project(high[:1])) == EXAMPLE.sensitivity_squared(grid, 3)
    assert EXAMPLE.sensitivity_squared(grid, 3) == 3 * STEPS_PER_CLIP**2


def test_in_payload_units() -> None:
    grid = Grid(clip=2.0, denominator=64.0, saturation=5.0)
    for scalars in (1, 2, 7, 16):
        assert EXAMPLE.sensitivity(grid, scalars) == pytest.approx(math.sqrt(scalars) * 2.0 / 64.0, rel=1e-14)
        assert DEVICE.sensitivity(grid, scalars) == pytest.approx(math.sqrt(scalars) * 2 * 5.0, rel=1e-7)  # whole steps


@settings(deadline=None, derandomize=True)
@given(scalars=st.integers(1, 10**6), denominator=st.floats(1.0, 1e5), clip=st.floats(1e-6, 1e6))
def test_rounding_is_upwards(scalars: int, denominator: float, clip: float) -> None:
    grid = Grid(clip, denominator)
    for unit in (EXAMPLE, DEVICE):
        squared = unit.sensitivity_squared(grid, scalars)
        steps = unit.sensitivity_steps(grid, scalars)
        assert squared <= Fraction(steps) ** 2 <= squared * Fraction(1 + 1e-15)
        payload = Fraction(unit.sensitivity(grid, scalars))
        assert squared * Fraction(grid.step) ** 2 <= payload**2


def test_only_an_example_is_amplified() -> None:
    assert EXAMPLE.charged_rate(0.064) == 0.064
    assert DEVICE.charged_rate(0.064) == 1.0
    for unit in (EXAMPLE, DEVICE):
        with pytest.raises(InputError, match="sampling rate"):
            unit.charged_rate(0.0)


def test_by_name() -> None:
    assert unit_named("device") is DEVICE
    assert str(unit_named("example")) == "example, add or remove one"  # what ledgers of version 1 say
    with pytest.raises(InputError, match="'user'; allowed: example, device"):
        unit_named("user")
    with pytest.raises(InputError, match="0 scalars"):
        EXAMPLE.sensitivity(Grid(1.0, 1.0), 0)
