from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radio.errors import InputError
from radio.mapping import Mapping

NAMES = ("signed", "augmented", "affine")
VALUES = arrays(np.float64, st.integers(1, 9), elements=st.floats(-1, 1, allow_subnormal=False))


@pytest.mark.parametrize("name", NAMES)
@given(values=VALUES, unit=st.floats(1e-3, 1e3), floor=st.floats(0, 10))
def test_without_errors_the_sum_comes_back_whatever_floor_and_power(name, values, unit, floor) -> None:
    mapping = Mapping(name)
    codewords = mapping.encode(values)
    assert codewords.shape == (values.size, mapping.slots)
    assert codewords.min() >= 0.0 and codewords.max() <= 1.0
    energies = floor + unit * codewords.sum(axis=0)
    assert mapping.decode(energies, unit, floor, values.size) == pytest.approx(
        values.sum(), abs=1e-9 * (1 + floor / unit)
    )


def test_codewords_by_hand() -> None:
    x = np.array([0.5, -1.0, 0.0])
    assert Mapping("signed").encode(x).tolist() == [[0.5, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert Mapping("augmented").encode(x).tolist() == [[0.75, 0.25], [0.0, 1.0], [0.5, 0.5]]
    assert Mapping("affine").encode(x).tolist() == [[0.75], [0.0], [0.5]]


@pytest.mark.parametrize("name", NAMES)
def test_beyond_the_peak_codewords_exceed_one_and_are_never_negative(name) -> None:
    codewords = Mapping(name).encode(np.array([1.5, -1.5]))
    assert codewords.min() >= 0.0 and codewords.max() > 1.0


@pytest.mark.parametrize("name", ["signed", "augmented"])
def test_what_both_slots_share_cancels(name) -> None:
    mapping = Mapping(name)
    energies = mapping.encode(np.array([0.3, -0.4, 0.9])).sum(axis=0)
    assert mapping.decode(energies + 7.0, 1.0, 0.0, 99) == pytest.approx(0.8)


def test_unknown_mapping_is_named_with_what_is_allowed() -> None:
    with pytest.raises(InputError, match="'cubic'; allowed: signed, augmented, affine"):
        Mapping("cubic")
