"""Choices that the tasks make from a public random stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draw:
    """Choices made from uniform doubles only, the one method of a NumPy generator whose stream has never changed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._random = rng.random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def order(self, items: Sequence[T]) -> list[T]:
        """The items in a uniformly random order."""
        return [items[i] for i in np.argsort(self._random(len(items)), kind="stable")]
