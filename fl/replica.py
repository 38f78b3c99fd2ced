"""One replica of the model: every simulated device that holds equal weights shares it (design decision 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fl.directions.direction import Direction
from fl.directions.rademacher import Rademacher
from fl.estimators.central import Central
from fl.estimators.estimator import Estimator, Point, walk
from fl.likelihood import Encoded, OptionLikelihood
from fl.models import LanguageModel
from fl.update import Move, RoundUpdate
from fl.weights import Weights, digest


class Replica:
    """Weights under the canonical arithmetic of `fl.weights`, and the losses they give.

    Moves are queued; `model` and `likelihood` carry them out first, so take the weights through them and do not keep them
    across rounds.
    """

    def __init__(
        self,
        model: LanguageModel,
        likelihood: OptionLikelihood,
        patterns: tuple[str, ...],
        direction: Direction | None = None,
        estimator: Estimator | None = None,
        threads: int = 1,
    ) -> None:
        self._model = model
        self._likelihood = likelihood
        self._estimator = estimator or Central()
        self._weights = Weights(model.select(patterns), direction or Rademacher(), threads)

    @property
    def model(self) -> LanguageModel:
        self._weights.settle()
        return self._model

    @property
    def likelihood(self) -> OptionLikelihood:
        self._weights.settle()
        return self._likelihood

    @property
    def trainable(self) -> int:
        """Number of weights that move."""
        return self._weights.size

    @property
    def parameters(self) -> int:
        return sum(array.size for array in self._model.arrays.values())

    @property
    def probe(self) -> str:
        """What a measurement leaves in the weights; a round's record names it."""
        return self._estimator.name

    def projections(self, examples: Sequence[Encoded], seed: int, perturbations: int, mu: float) -> NDArray[np.float64]:
        """Each example's directional derivatives along z(seed, j), j < P, as the estimator measures them.  Shape (n, P).

        The weights end restored as the canonical arithmetic restores them, also when there are no examples: probing is
        part of the round's history.
        """
        return self._estimator.measure(self, examples, seed, perturbations, mu)

    # what estimators ask for (fl.estimators.estimator.Prober)

    def move(self, seed: int, perturbation: int, amount: float) -> None:
        self._weights.move([Move(seed, perturbation, amount)])

    def losses(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        return self.likelihood.losses(examples)

    def losses_at(
        self, examples: Sequence[Encoded], seed: int, points: Sequence[Point], mu: float
    ) -> NDArray[np.float64]:
        out = np.empty((len(points), len(examples)))
        for index, steps in enumerate(walk(points, mu)):
            self._weights.move(Move(seed, perturbation, amount) for perturbation, amount in steps)
            if index < len(points):
                out[index] = self.losses(examples)
        return out

    # the log

    def update(self, update: RoundUpdate) -> None:
        """Apply the step of a round whose probes this replica has lived through."""
        self._weights.move(update.moves)

    def replay(self, updates: Sequence[RoundUpdate]) -> None:
        """Repeat committed rounds, probes and steps."""
        self._weights.replay(updates)

    def digest(self) -> str:
        """SHA-256 of all weights, trained or not."""
        return digest(self.model.arrays)
