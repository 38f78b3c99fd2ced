"""What a zeroth-order estimator is: where it evaluates the loss, and how it turns losses into directional derivatives.

An estimator measures, for each example of a batch and each of P directions z_j, p_ij ~ <grad F_i(w), z_j>.  It says at which
points the loss is wanted; the replica goes there, in place or functionally, and comes back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fl.update import Move

HOME = -1  # as a perturbation index: the unperturbed weights
UNTOUCHED = "untouched"  # as a probe's name: it left nothing in the weights


class Point(NamedTuple):
    """w + offset * mu * z_perturbation."""

    perturbation: int
    offset: float


class Prober(Protocol):
    """What an estimator may ask of a replica."""

    def move(self, seed: int, perturbation: int, amount: float) -> None:
        """w <- fl(w + amount z), in place."""

    def losses(self, examples: Sequence[Any]) -> NDArray[np.float64]:
        """Loss of every example at the present weights, (n,)."""

    def losses_at(self, examples: Sequence[Any], seed: int, points: Sequence[Point], mu: float) -> NDArray[np.float64]:
        """Losses at several points, (points, n); the weights end where they were, up to the trace of `walk`."""

    def activations(self, examples: Sequence[Any], cut: int) -> Any:
        """What goes into decoder block `cut` at the present weights."""

    def losses_from(self, examples: Sequence[Any], activations: Any) -> NDArray[np.float64]:
        """Loss of the same examples, (n,), by the blocks from the cut on at the present weights."""


class Estimator(Protocol):
    @property
    def name(self) -> str: ...

    def passes(self, perturbations: int) -> float:
        """Forward passes over the batch for P perturbations; parts of one count by layers."""
        ...

    def measure(
        self, prober: Prober, examples: Sequence[Any], seed: int, perturbations: int, mu: float
    ) -> NDArray[np.float64]:
        """Directional derivatives p_ij, (n, P)."""
        ...

    def trace(self, perturbations: int, mu: float) -> Sequence[tuple[int, float]]:
        """(perturbation, amount) added to the weights, in order, when probing in place."""
        ...

    def moves(self, seed: int, steps: Sequence[float]) -> tuple[Move, ...]:
        """Plain descent: what steps[j] on scalar j, rate x mean / P, add to the weights."""
        ...


def walk(points: Sequence[Point], mu: float) -> Iterator[list[tuple[int, float]]]:
    """What to add along which direction before each point, and, as the last item, to come home.

    Along one direction the step is the difference of the offsets: +mu, -2 mu, +mu for a central pair.
    """
    here = Point(HOME, 0.0)
    for point in (*points, Point(HOME, 0.0)):
        if point.perturbation == here.perturbation:
            steps = [] if point.perturbation == HOME else [(here.perturbation, (point.offset - here.offset) * mu)]
        else:
            steps = [] if here.perturbation == HOME else [(here.perturbation, -here.offset * mu)]
            if point.perturbation != HOME:
                steps.append((point.perturbation, point.offset * mu))
        yield steps
        here = point


class PointEstimator(ABC):
    """An estimator that is a set of points and a linear combination of the losses there."""

    name: str

    @abstractmethod
    def points(self, perturbations: int) -> list[Point]:
        """Where losses are wanted."""

    @abstractmethod
    def combine(self, losses: NDArray[np.float64], mu: float) -> NDArray[np.float64]:
        """Losses (points, n) to directional derivatives (n, P)."""

    def passes(self, perturbations: int) -> int:
        return len(self.points(perturbations))

    def measure(
        self, prober: Prober, examples: Sequence[Any], seed: int, perturbations: int, mu: float
    ) -> NDArray[np.float64]:
        return self.combine(prober.losses_at(examples, seed, self.points(perturbations), mu), mu)

    def moves(self, seed: int, steps: Sequence[float]) -> tuple[Move, ...]:
        from fl.update import own_moves  # which knows estimators by name

        return own_moves(seed, tuple(steps))

    def trace(self, perturbations: int, mu: float) -> Sequence[tuple[int, float]]:
        return [step for steps in walk(self.points(perturbations), mu) for step in steps]
