"""Normal directions: an exact table, the numpy definition, and a kernel that rounds the product before the sum."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from fl.directions.direction import Operations, name_key
from fl.directions.gaussian import CHUNK, HALF, Gaussian, normals, table
from fl.philox import reference
from fl.update import Move

SEED = 0xFEDCBA9876543210


def applied(start: np.ndarray, moves: list[Move], first: int = 0, name: str = "w") -> np.ndarray:
    array = start.copy()
    Gaussian().apply(name, array, first, Operations.of(moves))
    return array


def test_the_table_is_the_quantiles_scaled_to_variance_one():
    quantiles = ndtri(0.5 + (np.arange(HALF) + 0.5) / 65536)
    wanted = quantiles / np.sqrt((quantiles**2).mean())
    np.testing.assert_allclose(table()[:HALF], wanted, rtol=2.0**-24 + 1e-14, atol=0)
    assert table().dtype == np.float32 and table().shape == (65536,)


def test_the_table_is_symmetric_ascending_and_has_the_normal_moments():
    positive = table()[:HALF].astype(np.float64)
    np.testing.assert_array_equal(table()[HALF:], -table()[:HALF])
    assert (np.diff(positive) > 0).all() and positive[0] > 0
    assert (positive**2).mean() == pytest.approx(1, abs=2.0**-24)
    assert (positive**4).mean() == pytest.approx(3, abs=1e-3)
    assert positive.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=1e-5)


def test_the_table_has_the_same_bits_on_every_machine():
    # What journals in the field rely on: this may never change.
    assert hashlib.sha256(table().astype("<f4").tobytes()).hexdigest() == GOLDEN_TABLE


def test_the_definition_element_by_element():
    # i = 1024 c + 512 half + 128 word + lane: Philox of counter (128 c + lane, j, name) gives the word.
    low, high = name_key("w")
    z = normals("w", 3 * CHUNK, SEED, 7)
    for i in (0, 1, 127, 128, 511, 512, 1023, 1024, 2999):
        c, r = divmod(i, 1024)
        half, q = divmod(r, 512)
        word, lane = divmod(q, 128)
        drawn = int(
            reference(np.array([[128 * c + lane, 7, low, high]], np.uint32), (SEED & 0xFFFFFFFF, SEED >> 32))[0, word]
        )
        assert z[i] == table()[drawn >> 16 if half else drawn & 0xFFFF]


@given(size=st.integers(1, 3 * CHUNK), seed=st.integers(0, 2**64 - 1), perturbation=st.integers(0, 2**32 - 1))
def test_the_kernel_applies_exactly_the_reference(size, seed, perturbation):
    np.testing.assert_array_equal(
        applied(np.zeros(size, np.float32), [Move(seed, perturbation, 0.5)]),
        np.float32(0.5) * normals("w", size, seed, perturbation),
    )


@given(amounts=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=11), breaks=st.integers(1, 4))
def test_products_and_sums_are_rounded_one_by_one_and_in_order(amounts, breaks):
    moves = [Move(SEED + i // breaks, i // breaks, amount) for i, amount in enumerate(amounts)]
    start = np.random.default_rng(3).normal(size=1500).astype(np.float32)
    wanted = start
    for m in moves:
        product = np.float32(m.amount) * normals("w", 1500, m.seed, m.perturbation)
        wanted = wanted + product
    assert wanted.dtype == np.float32
    np.testing.assert_array_equal(applied(start, moves), wanted)


def test_a_fused_multiply_add_would_be_noticed():
    start = np.random.default_rng(3).normal(size=1500).astype(np.float32)
    z, amount = normals("w", 1500, SEED, 0), np.float32(0.3)
    fused = (start.astype(np.float64) + np.float64(amount) * z.astype(np.float64)).astype(np.float32)
    assert (applied(start, [Move(SEED, 0, 0.3)]) != fused).any()


@given(chunks=st.integers(0, 5), size=st.integers(1, 2 * CHUNK))
def test_a_later_part_of_a_parameter_has_the_values_of_its_place(chunks, size):
    first = chunks * CHUNK
    part = applied(np.zeros(size, np.float32), [Move(SEED, 1, 1.0)], first)
    np.testing.assert_array_equal(part, normals("w", first + size, SEED, 1)[first:])


def test_values_are_standard_normal_and_independent():
    size = 400_000
    base = normals("w", size, SEED, 0).astype(np.float64)
    others = [
        normals("w", size, SEED, 1),
        normals("w", size, SEED ^ 1, 0),
        normals("w", size, SEED ^ (1 << 63), 0),
        normals("v", size, SEED, 0),
        *(np.roll(base, shift) for shift in (1, 128, 512, 1024)),
    ]
    five_sigma = 5 / np.sqrt(size)
    # moments of z^k have the standard deviation sqrt(E z^2k - (E z^k)^2)
    for power, moment, deviation in ((1, 0, 1), (2, 1, np.sqrt(2)), (3, 0, np.sqrt(15)), (4, 2.9992, np.sqrt(96))):
        assert abs((base**power).mean() - moment) < five_sigma * deviation
    for other in others:
        assert abs((base * other).mean()) < five_sigma
        assert abs((base**2 * np.asarray(other, np.float64) ** 2).mean() - 1) < five_sigma * np.sqrt(8)


def test_golden_values():
    # What journals in the field rely on: these may never change.
    assert normals("model.decoder.final_layer_norm.weight", 8, SEED, 5).view(np.uint32).tolist() == GOLDEN


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_extreme_seeds(seed):
    z = normals("w", CHUNK, seed, 2**32 - 1)
    np.testing.assert_array_equal(applied(np.zeros(CHUNK, np.float32), [Move(seed, 2**32 - 1, 1.0)]), z)


# from `table` and from `normals`, the numpy form
GOLDEN_TABLE = "6228172c5241ce1fe37b99f6cb1a7f9cfda9ed9aaf1f8682e119328028b2fd06"
GOLDEN = [0xBF091D06, 0x3E418D34, 0xBF51F695, 0xBDB7590C, 0xBF6F69D5, 0x3E973A68, 0xBF80BD30, 0xBF43488D]
