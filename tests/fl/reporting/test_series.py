"""Thinning and stretches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.reporting.series import blocks, thin


@settings(max_examples=40)
@given(n=st.integers(1, 5000), most=st.integers(2, 600))
def test_thinning_and_stretches_cover_everything(n: int, most: int) -> None:
    kept = thin(n, most)
    assert len(kept) <= max(most, 1) and kept[0] == 0 and kept[-1] == n - 1 and (np.diff(kept) > 0).all()
    cut = blocks(n, most)
    assert len(cut) <= most and [i for c in cut for i in range(c.start, c.stop)] == list(range(n))
