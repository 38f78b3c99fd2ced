"""The bag-of-words yardstick on texts whose answer is known."""

from __future__ import annotations

import pytest

from fl.tasks.bow import bow_accuracy
from fl.tasks.task import Example
from radio.errors import InputError


def test_one_word_decides():
    train = [Example(f"word{i} {'good' if i % 2 else 'bad'}", i % 2) for i in range(40)]
    test = [Example("new good", 1), Example("new bad", 0), Example("good bad good", 1)]
    assert bow_accuracy(train, test) == 1.0


def test_pairs_of_words_are_seen():
    """The exclusive-or of two words cannot be learnt from single words, but from pairs."""
    rows = [Example("not bad", 1), Example("not good", 0), Example("so good", 1), Example("so bad", 0)]
    assert bow_accuracy(rows * 10, rows) == 1.0


def test_unknown_words_leave_the_floor():
    train = [Example("fine", 1), Example("dire", 0)] * 10
    test = [Example("superb", 1), Example("awful", 0)]
    assert bow_accuracy(train, test) == 0.5


def test_one_letter_words_count():
    rows = [Example("x", 1), Example("y", 0)] * 10
    assert bow_accuracy(rows, rows) == 1.0


def test_one_label_is_refused():
    with pytest.raises(InputError, match=r"two labels.*got 1 label"):
        bow_accuracy([Example("a", 1)], [Example("b", 0)])
