"""Normal directions: an exact table, and products rounded before the sum; what signs share with them is in test_direction.py."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.special import ndtri

from fl.directions.direction import Operations, name_key
from fl.directions.gaussian import CHUNK, HALF, Gaussian, normals, table
from fl.philox import reference
from fl.update import Move

SEED = 0xFEDCBA9876543210


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


def test_a_fused_multiply_add_would_be_noticed():
    start = np.random.default_rng(3).normal(size=1500).astype(np.float32)
    z, amount = normals("w", 1500, SEED, 0), np.float32(0.3)
    fused = (start.astype(np.float64) + np.float64(amount) * z.astype(np.float64)).astype(np.float32)
    found = start.copy()
    Gaussian().apply("w", found, 0, Operations.of([Move(SEED, 0, 0.3)]))
    assert (found != fused).any()


def test_values_have_the_normal_moments():
    size = 400_000
    z = normals("w", size, SEED, 0).astype(np.float64)
    # z^k has the standard deviation sqrt(E z^2k - (E z^k)^2)
    for power, moment, deviation in ((1, 0, 1), (2, 1, np.sqrt(2)), (3, 0, np.sqrt(15)), (4, 2.9992, np.sqrt(96))):
        assert abs((z**power).mean() - moment) < 5 / np.sqrt(size) * deviation


def test_golden_values():
    # What journals in the field rely on: these may never change.
    assert normals("model.decoder.final_layer_norm.weight", 8, SEED, 5).view(np.uint32).tolist() == GOLDEN


# from `table` and from `normals`, the numpy form
GOLDEN_TABLE = "6228172c5241ce1fe37b99f6cb1a7f9cfda9ed9aaf1f8682e119328028b2fd06"
GOLDEN = [0xBF091D06, 0x3E418D34, 0xBF51F695, 0xBDB7590C, 0xBF6F69D5, 0x3E973A68, 0xBF80BD30, 0xBF43488D]
