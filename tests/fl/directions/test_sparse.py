"""Masks take what they say, and a masked direction is its base on the mask and nothing elsewhere, however it is cut."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.directions import sparse
from fl.directions.direction import Operations, name_key
from fl.directions.gaussian import Gaussian, normals
from fl.directions.rademacher import Rademacher, signs
from fl.directions.sparse import Sparse, magnitude, random
from fl.philox import reference
from fl.update import Move
from radio.streams import stream_seed

SEED = 0xFEDCBA9876543210
SIZES = {"b": 300, "a": 5000, "c": 1}


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    # two decimals: plenty of equal magnitudes
    return {n: rng.normal(0, 1, s).round(2).astype(np.float32) for n, s in SIZES.items()}


def ranked(scores: dict[str, np.ndarray], count: int) -> dict[str, list[int]]:
    """The `count` largest by sorting (-score, name, index)."""
    order = sorted((-float(s), n, i) for n, values in scores.items() for i, s in enumerate(values))
    found: dict[str, list[int]] = {n: [] for n in scores}
    for _, name, index in order[:count]:
        found[name].append(index)
    return {n: sorted(where) for n, where in found.items()}


def as_lists(masks: dict[str, np.ndarray]) -> dict[str, list[int]]:
    assert all(mask.dtype == np.int64 for mask in masks.values())
    return {n: mask.tolist() for n, mask in masks.items()}


@pytest.mark.parametrize("piece", [4, 256, 1 << 20])
@pytest.mark.parametrize("density", [1e-9, 0.001, 0.01, 0.3, 0.77, 1.0])
def test_magnitude_takes_the_largest_and_among_equals_the_first(monkeypatch, piece, density):
    monkeypatch.setattr(sparse, "PIECE", piece)
    scores = {n: np.abs(w) for n, w in weights().items()}
    assert as_lists(magnitude(weights(), density)) == ranked(scores, max(1, round(density * 5301)))


def test_magnitude_does_not_depend_on_shapes_or_on_the_order_of_parameters():
    arrays = weights()
    turned = {n: arrays[n].reshape(-1, 10) if n == "a" else arrays[n] for n in reversed(arrays)}
    assert as_lists(magnitude(arrays, 0.1)) == as_lists(magnitude(turned, 0.1))


def test_magnitude_of_zeros_takes_the_first():
    masks = magnitude({"b": np.zeros(5, np.float32), "a": -np.zeros(3, np.float32)}, 0.5)
    assert as_lists(masks) == {"a": [0, 1, 2], "b": [0]}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("density", [0.001, 0.25, 1.0])
def test_random_takes_the_largest_philox_words(monkeypatch, compiled, density):
    monkeypatch.setattr(sparse, "available", compiled)
    key = stream_seed(9, "mask") & (2**64 - 1)
    scores = {}
    for name, size in SIZES.items():
        counter = np.array([[i, 0, *name_key(name)] for i in range(-(-size // 4))], np.uint32)
        scores[name] = reference(counter, (key & 0xFFFFFFFF, key >> 32)).reshape(-1)[:size]
    assert as_lists(random(SIZES, density, 9)) == ranked(scores, round(density * 5301))


def test_random_masks_are_of_the_wanted_size_spread_evenly_and_differ_by_seed():
    one, other = random({"w": 100_000}, 0.1, 1)["w"], random({"w": 100_000}, 0.1, 2)["w"]
    assert one.size == other.size == 10_000
    # 10 % of either mask in the other, hypergeometric with a standard deviation of about 28
    assert abs(np.intersect1d(one, other).size - 1000) < 5 * 28.5
    assert np.abs(np.histogram(one, 10, (0, 100_000))[0] - 1000).max() < 5 * 28.5


def test_golden_masks():
    # What journals in the field rely on: these may never change.
    mask = random({"model.decoder.final_layer_norm.weight": 64}, 0.125, 1)
    assert mask["model.decoder.final_layer_norm.weight"].tolist() == GOLDEN


@pytest.mark.parametrize("base, reference_values", [(Rademacher(), signs), (Gaussian(), normals)])
def test_values_are_the_bases_on_the_mask_and_0_elsewhere(base, reference_values):
    mask = np.array([1, 5, 6, 4999])
    z = Sparse(base, {"a": mask}).values("a", (50, 100), SEED, 3).reshape(-1)
    np.testing.assert_array_equal(z[mask], reference_values("a#mask", 4, SEED, 3))
    assert np.count_nonzero(z) == 4


@given(
    cuts=st.lists(st.integers(0, 30_000), max_size=6),
    density=st.sampled_from([0.0005, 0.02, 0.6]),
    base=st.sampled_from([Rademacher(), Gaussian()]),
)
def test_any_cut_of_a_parameter_gives_the_same_bits(cuts, density, base):
    size = 30_000
    direction = Sparse(base, random({"w": size}, density, 4))
    moves = [Move(SEED, 0, 0.3), Move(SEED, 0, -0.1), Move(SEED + 1, 2, 0.07)]
    start = np.random.default_rng(1).normal(size=size).astype(np.float32)
    wanted = start
    for m in moves:
        wanted = wanted + np.float32(m.amount) * direction.values("w", (size,), m.seed, m.perturbation)
    found = start.copy()
    edges = sorted({0, size, *cuts})
    for first, last in pairwise(edges):
        direction.apply("w", found[first:last], first, Operations.of(moves))
    np.testing.assert_array_equal(found, wanted)


def test_weights_off_the_mask_keep_every_bit_even_minus_zero():
    array = np.full(100, -0.0, np.float32)
    Sparse(Rademacher(), {"w": np.array([3])}).apply("w", array, 0, Operations.of([Move(1, 0, 0.5)]))
    assert (
        hashlib.sha256(np.delete(array, 3).tobytes()).digest()
        == hashlib.sha256(np.full(99, -0.0, np.float32).tobytes()).digest()
    )
    assert abs(array[3]) == 0.5


def test_a_parameter_without_masked_weights_does_not_move():
    direction = Sparse(Rademacher(), {"w": np.empty(0, np.int64)})
    array = np.ones(10, np.float32)
    direction.apply("w", array, 0, Operations.of([Move(1, 0, 0.5)]))
    assert array.tolist() == [1.0] * 10
    assert direction.moved("w", 10) == 0


# from `ranked` over `reference`, as in the test above
GOLDEN = [15, 25, 26, 30, 34, 40, 48, 62]
