"""Signs, bit by bit; what they share with Gaussian directions is in test_direction.py."""

from __future__ import annotations

import numpy as np

from fl.directions.direction import name_key
from fl.directions.rademacher import CHUNK, signs
from fl.philox import reference

SEED = 0xFEDCBA9876543210


def test_the_definition_bit_by_bit():
    # i = 4096 c + 128 bit + 32 word + lane: Philox of counter (32 c + lane, j, name) gives the word, bit 1 is -1.
    low, high = name_key("w")
    z = signs("w", 3 * CHUNK, SEED, 7)
    for i in (0, 1, 31, 32, 127, 128, 4095, 4096, 10_000):
        c, r = divmod(i, 4096)
        bit, q = divmod(r, 128)
        word, lane = divmod(q, 32)
        drawn = reference(np.array([[32 * c + lane, 7, low, high]], np.uint32), (SEED & 0xFFFFFFFF, SEED >> 32))
        assert z[i] == 1 - 2 * ((int(drawn[0, word]) >> bit) & 1)


def test_signs_are_signs_and_balanced():
    z = signs("w", 200_000, SEED, 0)
    assert set(np.unique(z)) == {-1.0, 1.0}
    assert abs(z.mean()) < 5 / np.sqrt(200_000)


def test_golden_signs():
    # What journals in the field rely on: these may never change.
    assert signs("model.decoder.final_layer_norm.weight", 32, SEED, 5).tolist() == GOLDEN


# from `signs`, the numpy form
GOLDEN = [{"+": 1.0, "-": -1.0}[sign] for sign in "-+------++--+--+--+-+-+---++-+--"]
