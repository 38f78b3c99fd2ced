"""Pages of a table catch up exactly once with everything they lack."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fl.table import FULL, Table
from fl.update import Move


@given(
    rows=st.integers(1, 40),
    width=st.integers(1, 30),
    page=st.integers(1, 64),
    script=st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 1000), max_size=6)), max_size=12),
)
def test_every_element_gets_every_move_once_and_in_order(rows, width, page, script):
    table = Table(rows, width, page)
    got: list[list[int]] = [[] for _ in range(rows * width)]
    sent = 0

    def carry_out(wanted):
        for first, last, seen in table.due(wanted):
            assert first % page == 0 and first < last <= rows * width
            for element in range(first, last):
                got[element] += [m.perturbation for m in table.log[seen:]]

    for moves, wanted in script:
        table.extend(Move(1, sent + i, 0.5) for i in range(moves))
        sent += moves
        chosen = np.unique(np.array(wanted, np.int64) % rows)
        carry_out(chosen)
        for row in chosen:
            for element in range(row * width, (row + 1) * width):
                assert got[element] == list(range(sent))
    carry_out(None)
    assert got == [list(range(sent))] * (rows * width)
    assert table.due(None) == []
    table.clear()
    assert table.log == [] and table.due(None) == []


def test_a_long_log_asks_for_a_full_pass():
    table = Table(2, 2, 4)
    table.extend([Move(1, 0, 1.0)] * FULL)
    assert not table.full
    table.extend([Move(1, 0, 1.0)])
    assert table.full
