"""Philox4x32-10: the published known answers, and two implementations that agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from fl.philox import block, reference

# Random123, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
WORD = st.integers(0, 2**32 - 1)


@njit
def compiled(counter, key0, key1):
    out = np.empty(4, np.uint32)
    out[0], out[1], out[2], out[3] = block(counter[0], counter[1], counter[2], counter[3], key0, key1)
    return out


@pytest.mark.parametrize("counter, key, answer", KNOWN)
def test_known_answers_of_random123(counter, key, answer):
    words = np.array(counter, np.uint32)
    assert tuple(reference(words[None], key)[0].tolist()) == answer
    assert tuple(compiled(words, np.uint32(key[0]), np.uint32(key[1])).tolist()) == answer


@given(counter=st.tuples(WORD, WORD, WORD, WORD), key=st.tuples(WORD, WORD))
def test_the_compiled_form_is_the_reference(counter, key):
    words = np.array(counter, np.uint32)
    np.testing.assert_array_equal(compiled(words, np.uint32(key[0]), np.uint32(key[1])), reference(words[None], key)[0])


def test_counters_of_one_call_do_not_influence_each_other():
    counters = np.random.default_rng(1).integers(0, 2**32, (50, 4), dtype=np.uint32)
    together = reference(counters, (7, 9))
    np.testing.assert_array_equal(together, np.concatenate([reference(c[None], (7, 9)) for c in counters]))
