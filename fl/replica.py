"""One replica of the model: every simulated device that holds equal weights shares it (design decision 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fl.likelihood import Encoded, OptionLikelihood
from fl.models import LanguageModel
from fl.perturbation import Perturbation, digest
from fl.update import RoundUpdate


class Replica:
    """Weights under the canonical arithmetic of `fl.perturbation`, and the losses they give."""

    def __init__(self, model: LanguageModel, likelihood: OptionLikelihood, patterns: tuple[str, ...]) -> None:
        self.model = model
        self.likelihood = likelihood
        self._trained = model.select(patterns)
        self._perturbation = Perturbation(self._trained)

    @property
    def trainable(self) -> int:
        """Number of weights that move."""
        return self._perturbation.size

    @property
    def parameters(self) -> int:
        return sum(array.size for array in self.model.arrays.values())

    def projections(self, examples: Sequence[Encoded], seed: int, perturbations: int, mu: float) -> NDArray[np.float64]:
        """Central two-point estimates of each example's directional derivative (SPSA, Spall 1992; paper eq. 7).

        p_ij = (F_i(w + mu z_j) - F_i(w - mu z_j)) / 2 mu, shape (n, P).  The weights end restored as the canonical
        arithmetic restores them, also when there are no examples: probing is part of the round's history.
        """
        out = np.empty((len(examples), perturbations))
        for j in range(perturbations):
            self._perturbation.plus(seed, j, mu)
            plus = self.likelihood.losses(examples)
            self._perturbation.plus_to_minus(seed, j, mu)
            minus = self.likelihood.losses(examples)
            self._perturbation.restore(seed, j, mu)
            out[:, j] = (plus - minus) / (2.0 * mu)
        return out

    def update(self, update: RoundUpdate) -> None:
        """Apply the step of a round whose probes this replica has lived through."""
        self._perturbation.update(update)

    def replay(self, updates: Sequence[RoundUpdate]) -> None:
        """Repeat committed rounds, probes and steps."""
        self._perturbation.replay(updates)

    def digest(self) -> str:
        """SHA-256 of all weights, trained or not."""
        return digest(self.model.arrays)
