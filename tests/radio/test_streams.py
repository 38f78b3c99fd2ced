from __future__ import annotations

import hashlib

import numpy as np

from radio.streams import stream, stream_seed


def test_seed_is_the_documented_hash() -> None:
    raw = b"pairzero stream v1"
    for tag, part in ((b"i", b"7"), (b"s", b"noise"), (b"i", b"12")):
        raw += tag + len(part).to_bytes(8, "little") + part
    assert stream_seed(7, "noise", 12) == int.from_bytes(hashlib.sha256(raw).digest(), "little")


def test_names_do_not_collide() -> None:
    seeds = {
        stream_seed(*names)
        for names in ((1, "a", "b"), (1, "ab"), (1, "b", "a"), (2, "a", "b"), (1, 2), (1, "2"), (12,))
    }
    assert len(seeds) == 7


def test_same_name_same_draws() -> None:
    first, second = stream(3, "x", 4), stream(3, "x", 4)
    assert np.array_equal(first.standard_normal(9), second.standard_normal(9))
    assert not np.array_equal(stream(3, "x", 4).random(9), stream(3, "x", 5).random(9))
