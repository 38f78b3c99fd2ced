"""One replica of the model: every simulated device that holds equal weights shares it (design decision 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fl.directions.direction import Direction, Values
from fl.directions.rademacher import Rademacher
from fl.estimators.central import Central
from fl.estimators.estimator import UNTOUCHED, Estimator, Point, walk
from fl.estimators.shifted import Shifted
from fl.functional import Functional
from fl.half import HalfCopy
from fl.likelihood import Activations, Encoded, Likelihood
from fl.models import LanguageModel
from fl.update import Move, RoundUpdate
from fl.weights import Weights, digest, parameter_digest

EMBEDDING = "model.decoder.embed_tokens.weight"  # also the head, tied


class Replica:
    """Weights under the canonical arithmetic of `fl.weights`, and the losses they give.

    functional  evaluate several points without touching the weights (fl.functional), where an estimator lets it

    Moves are queued; `model` and `likelihood` carry them out first, so take the weights through them and do not keep them
    across rounds.
    """

    def __init__(
        self,
        model: LanguageModel,
        likelihood: Likelihood,
        patterns: tuple[str, ...],
        direction: Direction | None = None,
        estimator: Estimator | None = None,
        threads: int = 1,
        half: bool = False,
        functional: bool = False,
    ) -> None:
        self._model = model
        self._likelihood = likelihood
        self._estimator = estimator or Central()
        self._trained = model.select(patterns)
        # what never moves: its digests are taken once, which in half precision is the last time it is seen in fp32
        self._fixed = {name: parameter_digest(a) for name, a in model.arrays.items() if name not in self._trained}
        copy = HalfCopy(model.network, self._trained) if half else None
        self.direction = direction or Rademacher()
        self._functional = Functional(model.network, self._trained, self.direction) if functional else None
        self._weights = Weights(
            self._trained,
            self.direction,
            threads,
            tables=(EMBEDDING,),
            settled=None if copy is None else copy.refresh,
        )

    @property
    def model(self) -> LanguageModel:
        self._weights.settle()
        return self._model

    @property
    def likelihood(self) -> Likelihood:
        self._weights.settle()
        return self._likelihood

    @property
    def trainable(self) -> int:
        """Number of weights that move."""
        return self._weights.size

    @property
    def parameters(self) -> int:
        return self._model.parameters

    @property
    def probe(self) -> str:
        """What a measurement leaves in the weights; a round's record names it."""
        return self._estimator.name if self._functional is None else UNTOUCHED

    def passes(self, perturbations: int) -> float:
        """Forward passes that measuring P directions takes; parts of one count by decoder blocks."""
        return self._estimator.passes(perturbations)

    def projections(
        self, examples: Sequence[Encoded], seed: int, perturbations: int, mu: float, first: int = 0
    ) -> NDArray[np.float64]:
        """Each example's directional derivatives along z(seed, first + j), j < P, as the estimator measures them.
        Shape (n, P).

        The weights end restored as the canonical arithmetic restores them, also when there are no examples: probing is
        part of the round's history.
        """
        prober = Shifted(self, first) if first else self
        return self._estimator.measure(prober, examples, seed, perturbations, mu)

    # what estimators ask for (fl.estimators.estimator.Prober)

    def move(self, seed: int, perturbation: int, amount: float) -> None:
        self._weights.move([Move(seed, perturbation, amount)])

    def _settle_for(self, examples: Sequence[Encoded]) -> Likelihood:
        self._weights.settle({EMBEDDING: self._likelihood.tokens(examples)})
        return self._likelihood

    def losses(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        return self._settle_for(examples).losses(examples)

    def losses_at(
        self, examples: Sequence[Encoded], seed: int, points: Sequence[Point], mu: float
    ) -> NDArray[np.float64]:
        if self._functional is not None:
            return self._settle_for(examples).losses_at(examples, self._functional, seed, points, mu)
        out = np.empty((len(points), len(examples)))
        for index, steps in enumerate(walk(points, mu)):
            self._weights.move(Move(seed, perturbation, amount) for perturbation, amount in steps)
            if index < len(points):
                out[index] = self.losses(examples)
        return out

    def activations(self, examples: Sequence[Encoded], cut: int) -> list[Activations]:
        return self._settle_for(examples).activations(examples, cut)

    def losses_from(self, examples: Sequence[Encoded], activations: Sequence[Activations]) -> NDArray[np.float64]:
        return self._settle_for(examples).losses_from(examples, activations)

    # local steps

    def snapshot(self) -> Mapping[str, Values]:
        """A copy of the trained weights."""
        return self._weights.snapshot()

    def restore(self, snapshot: Mapping[str, Values]) -> None:
        """Back to a snapshot, bit for bit."""
        self._weights.restore(snapshot)

    # the log

    def update(self, update: RoundUpdate) -> None:
        """Apply the step of a round whose probes this replica has lived through."""
        self._weights.move(update.moves)

    def replay(self, updates: Sequence[RoundUpdate]) -> None:
        """Repeat committed rounds, probes and steps."""
        self._weights.replay(updates)

    def digest(self) -> str:
        """SHA-256 of all weights, trained or not."""
        self._weights.settle()
        return digest(self._trained, self._fixed)
