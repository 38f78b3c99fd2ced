"""What holds for Rademacher and Gaussian directions alike: the kernel is the numpy definition, rounded move by move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.directions.direction import Direction, Operations, name_key, reference_words
from fl.directions.gaussian import Gaussian, normals
from fl.directions.rademacher import Rademacher, signs
from fl.philox import reference
from fl.update import Move

SEED = 0xFEDCBA9876543210
KINDS = {Rademacher: signs, Gaussian: normals}  # and their definitions in numpy
CHUNK = max(kind.chunk for kind in KINDS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def applied(kind: type[Direction], start: np.ndarray, moves: list[Move], first: int = 0) -> np.ndarray:
    array = start.copy()
    kind().apply("w", array, first, Operations.of(moves))
    return array


@every_kind
@given(size=st.integers(1, 3 * CHUNK), seed=st.integers(0, 2**64 - 1), perturbation=st.integers(0, 2**32 - 1))
def test_the_kernel_applies_exactly_the_definition(kind, size, seed, perturbation):
    z = KINDS[kind]("w", size, seed, perturbation)
    np.testing.assert_array_equal(
        applied(kind, np.zeros(size, np.float32), [Move(seed, perturbation, 0.3)]), np.float32(0.3) * z
    )
    np.testing.assert_array_equal(kind().values("w", (1, size), seed, perturbation), z[None])


@every_kind
@given(amounts=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=11), breaks=st.integers(1, 4))
def test_products_and_sums_are_rounded_one_by_one_and_in_order(kind, amounts, breaks):
    moves = [Move(SEED + i // breaks, i // breaks, amount) for i, amount in enumerate(amounts)]
    start = np.random.default_rng(3).normal(size=1500).astype(np.float32)
    wanted = start
    for m in moves:
        product = np.float32(m.amount) * KINDS[kind]("w", 1500, m.seed, m.perturbation)
        wanted = wanted + product
    assert wanted.dtype == np.float32
    np.testing.assert_array_equal(applied(kind, start, moves), wanted)


@every_kind
@given(chunks=st.integers(0, 5), size=st.integers(1, 2 * CHUNK))
def test_a_later_part_of_a_parameter_has_the_values_of_its_place(kind, chunks, size):
    first = chunks * kind.chunk
    part = applied(kind, np.zeros(size, np.float32), [Move(SEED, 1, 1.0)], first)
    np.testing.assert_array_equal(part, KINDS[kind]("w", first + size, SEED, 1)[first:])


@every_kind
def test_values_do_not_depend_on_length(kind):
    long = KINDS[kind]("w", 9000, SEED, 2)
    for size in (1, 127, 128, 129, kind.chunk - 1, kind.chunk, kind.chunk + 1):
        np.testing.assert_array_equal(KINDS[kind]("w", size, SEED, 2), long[:size])


@every_kind
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_extreme_seeds(kind, seed):
    z = KINDS[kind]("w", CHUNK, seed, 2**32 - 1)
    assert 0.9 < (z.astype(float) ** 2).mean() < 1.1
    np.testing.assert_array_equal(applied(kind, np.zeros(CHUNK, np.float32), [Move(seed, 2**32 - 1, 1.0)]), z)


@every_kind
def test_directions_of_other_names_seeds_and_places_are_uncorrelated(kind):
    size, draw = 200_000, KINDS[kind]
    base = draw("w", size, SEED, 0).astype(np.float64)
    others = [
        draw("w", size, SEED, 1),
        draw("w", size, SEED ^ 1, 0),
        draw("w", size, SEED ^ (1 << 63), 0),
        draw("v", size, SEED, 0),
        *(np.roll(base, shift) for shift in (1, 32, 128, 512, kind.chunk)),
    ]
    five_sigma = 5 / np.sqrt(size)
    for other in others:
        assert abs(other.mean()) < five_sigma
        assert abs((base * other).mean()) < five_sigma
        # z^2 is constant or has a variance of 2, a product of two of them one of at most 8
        assert abs((base**2 * np.asarray(other, np.float64) ** 2).mean() - 1) < five_sigma * np.sqrt(8)


def test_words_are_those_of_the_counter_their_place_names():
    words = reference_words("w", 3, 32, SEED, 7)
    for chunk, word, call in ((0, 0, 0), (0, 3, 31), (1, 2, 5), (2, 0, 31)):
        counter = np.array([[32 * chunk + call, 7, *name_key("w")]], np.uint32)
        assert words[chunk, 32 * word + call] == reference(counter, (SEED & 0xFFFFFFFF, SEED >> 32))[0, word]


def test_moves_along_one_direction_draw_it_once():
    operations = Operations.of([Move(1, 0, 0.1), Move(1, 0, 0.2), Move(1, 1, 0.3), Move(2, 1, 0.4), Move(1, 0, 0.5)])
    assert operations.starts.tolist() == [0, 2, 3, 4, 5]
    assert operations.perturbations.tolist() == [0, 1, 1, 0]
    assert operations.key0.tolist() == [1, 1, 2, 1]
    assert len(operations) == 5


def test_operations_name_their_directions():
    moves = [Move(2**64 - 1, 3, 0.5), Move(2**64 - 1, 3, 0.25), Move(7, 0, 0.1)]
    found = [(seed, j, amounts.tolist()) for seed, j, amounts in Operations.of(moves).directions()]
    assert found == [(2**64 - 1, 3, [0.5, 0.25]), (7, 0, [np.float32(0.1)])]
