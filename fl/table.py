"""A large table of which a forward pass reads a few rows: the pages that hold them catch up with the log when they are wanted.

Four in ten of OPT-125M's weights are its token embedding, and a batch looks at some dozens of its 50,272 rows.  Every page
(one chunk of the direction) remembers how much of the table's log it has seen; what is not read waits until many rounds can be
carried out in one pass.  The order of a weight's roundings stays what it was, so not a bit changes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fl.update import Move

FULL = 128  # moves after which the whole table catches up


class Table:
    """The log of one table.

    rows, width   its shape
    page          elements of a page: the direction's chunk
    """

    def __init__(self, rows: int, width: int, page: int) -> None:
        self.rows, self.width, self._page = rows, width, page
        self.log: list[Move] = []
        self._seen = np.zeros(-(-rows * width // page), np.int64)  # moves of the log that a page has

    def extend(self, moves: Iterable[Move]) -> None:
        self.log.extend(moves)

    @property
    def full(self) -> bool:
        return len(self.log) > FULL

    def due(self, rows: NDArray[np.int64] | None) -> list[tuple[int, int, int]]:
        """(first, last, seen): element ranges that lack the moves from `seen` on, for those rows or (None) for all.

        They count as done afterwards; with None the log starts anew once the caller has carried it out (`clear`).
        """
        if rows is None:
            pages = np.arange(self._seen.size)
        else:
            first, last = rows * self.width // self._page, ((rows + 1) * self.width - 1) // self._page
            widest = int((last - first).max(initial=0)) + 1
            pages = np.unique(np.minimum(first[:, None] + np.arange(widest), last[:, None]))
        seen = self._seen[pages]
        pages, seen = pages[seen < len(self.log)], seen[seen < len(self.log)]
        if not pages.size:
            return []
        self._seen[pages] = len(self.log)
        cuts = np.flatnonzero((np.diff(pages) != 1) | (np.diff(seen) != 0)) + 1
        starts, stops = np.concatenate([[0], cuts]), np.concatenate([cuts, [pages.size]])
        size = self.rows * self.width
        return [
            (int(pages[a]) * self._page, min((int(pages[b - 1]) + 1) * self._page, size), int(seen[a]))
            for a, b in zip(starts, stops, strict=True)
        ]

    def clear(self) -> None:
        self.log = []
        self._seen[:] = 0
