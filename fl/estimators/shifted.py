"""The same measurement along other directions of the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.estimators.estimator import HOME, Point, Prober


class Shifted:
    """A prober whose direction j is another's direction `first` + j: local step l measures the directions from l P on."""

    def __init__(self, prober: Prober, first: int) -> None:
        self._prober = prober
        self._first = first

    def move(self, seed: int, perturbation: int, amount: float) -> None:
        self._prober.move(seed, self._first + perturbation, amount)

    def losses(self, examples: Sequence[Any]) -> NDArray[np.float64]:
        return self._prober.losses(examples)

    def losses_at(self, examples: Sequence[Any], seed: int, points: Sequence[Point], mu: float) -> NDArray[np.float64]:
        shifted = [
            p if p.perturbation == HOME else p._replace(perturbation=self._first + p.perturbation) for p in points
        ]
        return self._prober.losses_at(examples, seed, shifted, mu)

    def activations(self, examples: Sequence[Any], cut: int) -> Any:
        return self._prober.activations(examples, cut)

    def losses_from(self, examples: Sequence[Any], activations: Any) -> NDArray[np.float64]:
        return self._prober.losses_from(examples, activations)
