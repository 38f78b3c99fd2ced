"""Low-rank directions: products of exact signs, a basis named by half of the seed, and a kernel that agrees for any slice."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.directions.direction import Operations
from fl.directions.low_rank import LowRank
from fl.directions.rademacher import CHUNK, Rademacher, signs
from fl.update import Move

SEED = 0xFEDCBA9876543210
SHAPES = [(50, 257), (3, 5000), (5000, 3), (1, 1), (4097, 1), (1, 9000), (2500, 2)]
MOVES = [Move(SEED, 0, 0.3), Move(SEED, 0, -0.1), Move(5 << 33, 2, 0.07), Move(2**64 - 1, 2**32 - 1, 1e-3)]


def low_rank_direction(shape: tuple[int, ...], rank: int) -> LowRank:
    return LowRank({"w": shape}, rank, Rademacher())


def test_z_is_the_product_of_the_factors_over_the_root_of_the_rank():
    for rank in (1, 2, 3, 8):
        direction = low_rank_direction((30, 70), rank)
        u, v = direction.factors("w", (30, 70), SEED, 4)
        assert u.shape == (30, rank) and v.shape == (70, rank)
        assert set(np.unique(u)) == set(np.unique(v)) == {-1.0, 1.0}
        z = direction.values("w", (30, 70), SEED, 4)
        assert z.dtype == np.float32
        # two roundings: of 1/sqrt(r), and of its product with a whole number
        np.testing.assert_allclose(z, u.astype(float) @ v.astype(float).T / np.sqrt(rank), rtol=2.0**-23, atol=0)
        assert np.linalg.matrix_rank(z) == rank


def test_factors_are_the_signs_of_two_names():
    u, v = low_rank_direction((30, 70), 3).factors("w", (30, 70), SEED, 4)
    np.testing.assert_array_equal(u.reshape(-1), signs("w#u", 90, SEED, 4))
    np.testing.assert_array_equal(v.T.reshape(-1), signs("w#v", 210, SEED >> 32 << 32, 4))


def test_the_upper_half_of_the_seed_names_the_basis():
    factors = low_rank_direction((64, 64), 2).factors
    u, v = factors("w", (64, 64), 7 << 32 | 1, 0)
    other_u, same_v = factors("w", (64, 64), 7 << 32 | 2, 0)
    _, other_v = factors("w", (64, 64), 8 << 32 | 1, 0)
    np.testing.assert_array_equal(v, same_v)
    # 128 fair signs: half of them agree, with a standard deviation of sqrt(128)/2 = 5.7
    for one, other in ((u, other_u), (v, other_v), (v, factors("w", (64, 64), 7 << 32 | 1, 1)[1])):
        assert abs((one == other).sum() - 64) < 5 * 5.7


@pytest.mark.parametrize("rank", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_applies_exactly_the_definition_for_every_slice(shape, rank):
    direction, size = low_rank_direction(shape, rank), shape[0] * shape[1]
    start = np.random.default_rng(1).normal(size=size).astype(np.float32)
    wanted = start
    for m in MOVES:
        product = np.float32(m.amount) * direction.values("w", shape, m.seed, m.perturbation).reshape(-1)
        wanted = wanted + product
    for first in range(0, size, CHUNK):
        for last in {min(first + CHUNK, size), min(first + 1, size), size}:
            found = start[first:last].copy()
            direction.apply("w", found, first, Operations.of(MOVES))
            np.testing.assert_array_equal(found, wanted[first:last])


@given(rows=st.integers(1, 90), columns=st.integers(1, 90), rank=st.integers(1, 5), seed=st.integers(0, 2**64 - 1))
def test_the_kernel_applies_exactly_the_definition_for_every_shape(rows, columns, rank, seed):
    direction = low_rank_direction((rows, columns), rank)
    found = np.zeros(rows * columns, np.float32)
    direction.apply("w", found, 0, Operations.of([Move(seed, 1, 0.3)]))
    np.testing.assert_array_equal(found, np.float32(0.3) * direction.values("w", (rows, columns), seed, 1).reshape(-1))


@pytest.mark.parametrize("shape", [(70,), (2, 5, 7), ()])
def test_what_is_not_a_matrix_gets_plain_signs(shape):
    direction, size = low_rank_direction(shape, 2), int(np.prod(shape))
    wanted = signs("w", size, SEED, 1)
    np.testing.assert_array_equal(direction.values("w", shape, SEED, 1).reshape(-1), wanted)
    found = np.zeros(size, np.float32)
    direction.apply("w", found, 0, Operations.of([Move(SEED, 1, 1.0)]))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_covariance_is_the_identity(rank):
    # Unbiasedness of the estimate rests on E z z' = 1.  An entry of z z' has a variance of at most 3.
    shape, draws = (3, 4), 2000
    direction = low_rank_direction(shape, rank)
    z = np.array([direction.values("w", shape, SEED + (t << 32) + t, 0).reshape(-1) for t in range(draws)], float)
    np.testing.assert_allclose(z.T @ z / draws, np.eye(12), atol=5.5 * np.sqrt(3 / draws))
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=5 / np.sqrt(draws))


def test_golden_values():
    # What journals in the field rely on: these may never change.
    z = low_rank_direction((20, 30), 3).values("model.decoder.layers.0.fc1.weight", (20, 30), SEED, 5)
    assert hashlib.sha256(z.astype("<f4").tobytes()).hexdigest() == GOLDEN


# from `values`, the numpy form
GOLDEN = "f8a69bcbc33d02951b5dead301fe8ac8a7d5902193a9b281ad88a956f759bae0"
