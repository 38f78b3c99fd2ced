"""FZOO's normalised step (arXiv 2506.09034)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fl.optimisers.optimiser import Step


class Normalised:
    """w <- w - rate/(P std_j(mean)) sum_j mean_j z_j.

    FZOO divides its one-sided estimate by the standard deviation of the P perturbed losses.  Its code steps by
    (L_j - L_0) / (P std(L)) along z_j (DKmiyan/FZOO, trainer.py, zo_step: the population's deviation, 1/P).  With
    mean_j = (L_j - L_0)/mu, what the air delivers, mu cancels and the same ratio is mean_j / (P std(mean)).  So the scale
    comes from received sums alone: no device tells its losses (design section 5), but it includes the devices' and the
    receiver's noise.  Over directions the deviation is about the gradient's norm, so this is normalised descent; the rate is
    about the root of P times the distance a weight moves in a round.

    FZOO is estimator "one-sided" with P = 8 or more and without local steps; other estimators serve as well.  With P = 2
    the deviation is often close to zero and the step wild.
    """

    name = "normalised"

    def __init__(self, perturbations: int) -> None:
        self._perturbations = perturbations

    def step(self, mean: Sequence[float], rate: float) -> Step:
        centre = math.fsum(mean) / len(mean)
        deviation = math.sqrt(math.fsum((m - centre) * (m - centre) for m in mean) / len(mean))
        if deviation == 0.0:  # every direction clipped alike, or nothing measured at all: there is no scale
            return Step(())
        return Step(tuple(rate * m / (self._perturbations * deviation) for m in mean))
