from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.converter import Converter
from radio.errors import InputError
from radio.streams import stream


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_quantisation_noise_is_step_squared_over_12_in_each_rail(bits: int) -> None:
    draws = stream(1, "converter", bits)
    samples = draws.uniform(-1, 1, 20000) + 1j * draws.uniform(-1, 1, 20000)
    quantised, clipped = Converter(bits).convert(samples)
    error = quantised - samples
    step = 1.0 / (2 ** (bits - 1) - 1)
    assert clipped == 0
    assert error.real.var() == pytest.approx(step**2 / 12, rel=0.06)
    assert error.imag.var() == pytest.approx(step**2 / 12, rel=0.06)
    assert Converter(bits).noise_variance == pytest.approx(step**2 / 6)


@given(st.integers(2, 16), st.floats(-1, 1), st.floats(-1, 1))
def test_error_is_at_most_half_a_step_and_conversion_is_idempotent(bits: int, real: float, imag: float) -> None:
    converter = Converter(bits)
    once, _ = converter.convert(np.array([complex(real, imag)]))
    assert abs(once[0].real - real) <= converter.step / 2 + 1e-12
    assert abs(once[0].imag - imag) <= converter.step / 2 + 1e-12
    twice, _ = converter.convert(once)
    assert np.allclose(twice, once, atol=1e-15)


@given(st.lists(st.complex_numbers(max_magnitude=3.0), min_size=1, max_size=30), st.sampled_from([None, 6, 12]))
def test_clipping_is_counted_by_sample_and_bounded(values: list[complex], bits: int | None) -> None:
    samples = np.array(values, dtype=np.complex128)
    converted, clipped = Converter(bits).convert(samples)
    assert clipped == sum(abs(v.real) > 1 + 1e-12 or abs(v.imag) > 1 + 1e-12 for v in values)
    assert np.abs(converted.real).max() <= 1.0 and np.abs(converted.imag).max() <= 1.0


def test_input_is_left_alone_and_full_scale_is_a_code() -> None:
    samples = np.array([1.0 + 0j, -1j, 2.0 + 2j])
    converted, clipped = Converter(12).convert(samples)
    assert samples[2] == 2 + 2j and clipped == 1
    assert np.allclose(converted, [1.0, -1j, 1 + 1j])


def test_bits_are_checked() -> None:
    with pytest.raises(InputError, match="bits is 1"):
        Converter(1)
