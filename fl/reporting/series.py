"""Long series made short enough to draw.  What is averaged is averaged before thinning."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 500
BLOCKS = 30  # means and medians over rounds are taken over this many stretches of the run


def thin(n: int, most: int = MAX_POINTS) -> NDArray[np.int64]:
    """Indices of at most `most` of `n` points, evenly spread, first and last included."""
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(np.int64))


def blocks(n: int, most: int) -> list[slice]:
    """`n` points cut into at most `most` consecutive, nearly equal blocks."""
    edges = np.unique(np.linspace(0, n, min(n, most) + 1).round().astype(int))
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
