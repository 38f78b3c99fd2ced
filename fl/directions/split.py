"""One direction for two blocks of the network that are moved apart: which block an index moves is the index's matter."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fl.directions.direction import Direction, Operations, Values
from fl.estimators.split import LOWER


class Split(Direction):
    """`base` on the lower block's parameters for perturbations from `LOWER` on, on all others for smaller ones; else 0."""

    def __init__(self, base: Direction, lower: Collection[str]) -> None:
        self.name = f"{base.name} on two blocks"
        self.chunk = base.chunk
        self.base = base
        self.lower = frozenset(lower)
        self._parted: tuple[Operations, dict[bool, Operations]] | None = None

    def apply(self, parameter: str, weights: Values, first: int, operations: Operations) -> None:
        own = self._part(operations)[parameter in self.lower]
        if len(own):
            self.base.apply(parameter, weights, first, own)

    def _part(self, operations: Operations) -> dict[bool, Operations]:
        """The operations of either block.  Those of the last call are kept: many parameters come with the same."""
        parted = self._parted
        if parted is None or parted[0] is not operations:
            lower = operations.perturbations >= LOWER
            parted = operations, {block: _chosen(operations, lower == block) for block in (False, True)}
            self._parted = parted
        return parted[1]

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        if (perturbation >= LOWER) != (parameter in self.lower):
            return np.zeros(shape, np.float32)
        return self.base.values(parameter, shape, seed, perturbation)

    def moved(self, parameter: str, size: int) -> int:
        return self.base.moved(parameter, size)


def _chosen(operations: Operations, chosen: NDArray[np.bool_]) -> Operations:
    counts = np.diff(operations.starts)
    return Operations(
        operations.key0[chosen],
        operations.key1[chosen],
        operations.perturbations[chosen],
        np.concatenate([[0], np.cumsum(counts[chosen])]).astype(np.int64),
        operations.amounts[np.repeat(chosen, counts)],
    )
