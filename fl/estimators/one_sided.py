"""One-sided two-point estimate: one forward pass a direction and one more for all of them (DeComFL's and FZOO's)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.estimators.estimator import HOME, Point, PointEstimator


class OneSided(PointEstimator):
    """p_ij = (F_i(w + mu z_j) - F_i(w)) / mu.  Bias mu/2 z' H_i z; P + 1 forward passes."""

    name = "one-sided"

    def points(self, perturbations: int) -> list[Point]:
        return [Point(HOME, 0.0), *(Point(j, 1.0) for j in range(perturbations))]

    def combine(self, losses: NDArray[np.float64], mu: float) -> NDArray[np.float64]:
        return ((losses[1:] - losses[:1]) / mu).T
