"""Plain stochastic descent along the round's own directions."""

from __future__ import annotations

from collections.abc import Sequence

from fl.optimisers.optimiser import Step


class Sgd:
    """w <- w - rate/P sum_j mean_j z_j (n-SPSA; arXiv 2604.12401, section on analog pAirZero)."""

    name = "sgd"

    def __init__(self, perturbations: int) -> None:
        self._perturbations = perturbations

    def step(self, mean: Sequence[float], rate: float) -> Step:
        return Step(tuple(rate * m / self._perturbations for m in mean))
