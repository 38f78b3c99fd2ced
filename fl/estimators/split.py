"""Two blocks with a different number of directions each, the lower one's activations used again (FedSPZO: Ahmed, Pfeiffer,
Khalili, Khdr, Henkel, arXiv 2502.10239).

The network is cut before decoder block `cut`.  The lower block (embeddings and blocks below the cut) is moved along z1_j,
j < J, and goes forward once on either side; on each result the upper block, which is cheaper to go through than the whole,
is evaluated along its own z2_ji, i < W ("width"):

    g_ji = (F(w1 + mu z1_j, w2 + mu z2_ji) - F(w1 - mu z1_j, w2 - mu z2_ji)) / 2 mu

The step moves w1 along z1_j by the mean of the g_ji over i, and w2 along every z2_ji.  E[g_ji z1_j] and E[g_ji z2_ji] are the
two blocks' gradients up to O(mu^2), because z1_j and z2_ji are independent.

What we chose, having read the abstracts and not the algorithm: both blocks are moved together and with equal signs, so that
one difference serves both; all P = J W scalars are sent, since over the air they cost one channel use each; the mean over i is
taken of the received sums; tied embeddings belong to the lower block, so the head's rows move with z1_j; signs are taken one
after the other.  Activations are kept of one sign at a time but of the whole batch: micro-batch by micro-batch the weights
would have to move more often for a larger batch, and the log would tell how large a private batch was (design decision 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fl.estimators.estimator import Prober

if TYPE_CHECKING:
    from fl.update import Move

LOWER = 1 << 16  # perturbation indices from here on move the lower block only, smaller ones the upper only


class _Stop(NamedTuple):
    """A place on the way: what to add to get there, and what to evaluate."""

    perturbation: int
    amount: float
    sign: int = 0  # evaluate scalar `perturbation` as its first (0) or second (1) loss
    evaluate: bool = False


@dataclass(frozen=True)
class Split:
    """Scalar j W + i is g_ji; P = J W.

    width   W, directions of the upper block for each of the lower
    cut     blocks below the cut, 1, ..., blocks - 1
    blocks  of the whole network
    """

    width: int
    cut: int = 1
    blocks: int = 2

    @property
    def name(self) -> str:
        return f"split:{self.width}"

    def passes(self, perturbations: int) -> float:
        lower = self.cut / self.blocks
        return 2 * perturbations * (lower / self.width + 1 - lower)

    def _walk(self, perturbations: int, mu: float) -> Iterator[_Stop]:
        for j, first in enumerate(range(0, perturbations, self.width)):
            for sign, amount in enumerate((mu, -mu)):
                yield _Stop(LOWER + j, amount if sign == 0 else 2 * amount, sign, True)
                for scalar in range(first, first + self.width):
                    yield _Stop(scalar, amount, sign, True)
                    yield _Stop(scalar, -amount)
            yield _Stop(LOWER + j, mu)

    def measure(
        self, prober: Prober, examples: Sequence[Any], seed: int, perturbations: int, mu: float
    ) -> NDArray[np.float64]:
        losses = np.empty((2, perturbations, len(examples)))
        activations: Any = None
        for stop in self._walk(perturbations, mu):
            prober.move(seed, stop.perturbation, stop.amount)
            if not stop.evaluate:
                continue
            if stop.perturbation >= LOWER:
                activations = None  # before there are new ones
                activations = prober.activations(examples, self.cut)
            else:
                losses[stop.sign, stop.perturbation] = prober.losses_from(examples, activations)
        return ((losses[0] - losses[1]) / (2.0 * mu)).T

    def trace(self, perturbations: int, mu: float) -> Sequence[tuple[int, float]]:
        return [(stop.perturbation, stop.amount) for stop in self._walk(perturbations, mu)]

    def moves(self, seed: int, steps: Sequence[float]) -> tuple[Move, ...]:
        from fl.update import Move  # which knows estimators by name

        # steps are rate x g_ji / (J W): their sum over i is the mean's, rate x mean_i g_ji / J
        lower = [-sum(steps[first : first + self.width]) for first in range(0, len(steps), self.width)]
        return (
            *(Move(seed, LOWER + j, amount) for j, amount in enumerate(lower)),
            *(Move(seed, i, -step) for i, step in enumerate(steps)),
        )
