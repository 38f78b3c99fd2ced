"""Signs are a pure function of (seed, perturbation, name, index); the kernel applies exactly the numpy definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.directions.direction import Operations, name_key
from fl.directions.rademacher import CHUNK, Rademacher, signs
from fl.update import Move

SEED = 0xFEDCBA9876543210


def moved(size: int, moves: list[Move], first: int = 0, name: str = "w") -> np.ndarray:
    array = np.zeros(size, np.float32)
    Rademacher().apply(name, array, first, Operations.of(moves))
    return array


@given(size=st.integers(1, 3 * CHUNK), seed=st.integers(0, 2**64 - 1), perturbation=st.integers(0, 2**32 - 1))
def test_the_kernel_applies_exactly_the_reference_signs(size, seed, perturbation):
    np.testing.assert_array_equal(
        moved(size, [Move(seed, perturbation, 0.5)]), 0.5 * signs("w", size, seed, perturbation)
    )


@given(chunks=st.integers(0, 5), size=st.integers(1, 2 * CHUNK))
def test_a_later_part_of_a_parameter_has_the_signs_of_its_place(chunks, size):
    first = chunks * CHUNK
    part = moved(size, [Move(SEED, 1, 1.0)], first)
    np.testing.assert_array_equal(part, signs("w", first + size, SEED, 1)[first:])


@given(amounts=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=11), breaks=st.integers(1, 4))
def test_every_move_is_rounded_on_its_own_and_in_order(amounts, breaks):
    moves = [Move(SEED + i // breaks, i // breaks, amount) for i, amount in enumerate(amounts)]
    wanted = np.zeros(300, np.float32)
    for m in moves:
        wanted = wanted + np.float32(m.amount) * signs("w", 300, m.seed, m.perturbation)
    np.testing.assert_array_equal(moved(300, moves), wanted)


def test_signs_do_not_depend_on_length():
    long = signs("w", 9000, SEED, 2)
    for size in (1, 127, 128, 129, 4095, 4096, 4097):
        np.testing.assert_array_equal(signs("w", size, SEED, 2), long[:size])


def test_the_definition_bit_by_bit():
    # i = 4096 c + 128 bit + 32 word + lane: Philox of counter (32 c + lane, j, name) gives the word, bit 1 is -1.
    from fl.philox import reference

    low, high = name_key("w")
    z = signs("w", 3 * CHUNK, SEED, 7)
    for i in (0, 1, 31, 32, 127, 128, 4095, 4096, 10_000):
        c, r = divmod(i, 4096)
        bit, q = divmod(r, 128)
        word, lane = divmod(q, 32)
        drawn = reference(np.array([[32 * c + lane, 7, low, high]], np.uint32), (SEED & 0xFFFFFFFF, SEED >> 32))
        assert z[i] == 1 - 2 * ((int(drawn[0, word]) >> bit) & 1)


def test_signs_are_balanced_and_uncorrelated():
    size = 200_000
    base = signs("w", size, SEED, 0)
    assert set(np.unique(base)) == {-1.0, 1.0}
    others = [
        signs("w", size, SEED, 1),
        signs("w", size, SEED ^ 1, 0),
        signs("w", size, SEED ^ (1 << 63), 0),
        signs("v", size, SEED, 0),
        *(np.roll(base, shift) for shift in (1, 32, 128, 4096)),
    ]
    five_sigma = 5 / np.sqrt(size)
    assert abs(base.mean()) < five_sigma
    for other in others:
        assert abs(other.mean()) < five_sigma
        assert abs((base * other).mean()) < five_sigma


def test_golden_signs():
    # What journals in the field rely on: these may never change.
    assert signs("model.decoder.final_layer_norm.weight", 32, SEED, 5).tolist() == GOLDEN


def test_moves_along_one_direction_draw_it_once():
    operations = Operations.of([Move(1, 0, 0.1), Move(1, 0, 0.2), Move(1, 1, 0.3), Move(2, 1, 0.4), Move(1, 0, 0.5)])
    assert operations.starts.tolist() == [0, 2, 3, 4, 5]
    assert operations.perturbations.tolist() == [0, 1, 1, 0]
    assert operations.key0.tolist() == [1, 1, 2, 1]
    assert len(operations) == 5


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_extreme_seeds(seed):
    assert abs(moved(4096, [Move(seed, 2**32 - 1, 1.0)])).tolist() == [1.0] * 4096


# from `signs`, the numpy form
GOLDEN = [{"+": 1.0, "-": -1.0}[sign] for sign in "-+------++--+--+--+-+-+---++-+--"]
