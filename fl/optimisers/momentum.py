"""Heavy-ball momentum without a buffer: the recent directions are taken again."""

from __future__ import annotations

from collections.abc import Sequence

from fl.optimisers.optimiser import Step, window


class Momentum:
    """u_t = beta u_{t-1} + g_t, w <- w - rate_t u_t, with g_s = 1/P sum_j mean_sj z_sj (Polyak 1964).

    Written out, w <- w - rate_t sum_s beta^(t-s) g_s.  The terms with beta^(t-s) < 1e-3 are left out (`window`: 66 rounds at
    beta = 0.9), so in all a direction is followed to within 0.1 % as far as with a buffer.  The price is arithmetic: a round
    regenerates `window` P directions, where a buffer would take 4 bytes a weight.

    The whole travel along a direction is rate/(1 - beta) times its mean: divide a rate found for sgd accordingly.
    """

    name = "momentum"

    def __init__(self, perturbations: int, beta: float) -> None:
        self._perturbations = perturbations
        self._beta = beta
        self._earlier = window(beta) - 1
        self._rate = 0.0  # of the round before; 0: none yet

    def step(self, mean: Sequence[float], rate: float) -> Step:
        decay = self._beta * (rate / self._rate) if self._rate else 0.0
        self._rate = rate
        return Step(tuple(rate * m / self._perturbations for m in mean), decay, self._earlier if decay else 0)
