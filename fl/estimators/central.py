"""Central two-point estimate (SPSA, Spall 1992; n-SPSA for P > 1; arXiv 2604.12401 eq. 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.estimators.estimator import Point, PointEstimator


class Central(PointEstimator):
    """p_ij = (F_i(w + mu z_j) - F_i(w - mu z_j)) / 2 mu.  Bias O(mu^2); 2P forward passes."""

    name = "central"

    def points(self, perturbations: int) -> list[Point]:
        return [Point(j, sign) for j in range(perturbations) for sign in (1.0, -1.0)]

    def combine(self, losses: NDArray[np.float64], mu: float) -> NDArray[np.float64]:
        return ((losses[0::2] - losses[1::2]) / (2.0 * mu)).T
