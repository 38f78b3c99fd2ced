"""The log of the weights: what one round did to them.  Light to import: the journal and the command line need only this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fl.estimators.registry import probe_trace


class Move(NamedTuple):
    """w <- fl(w + amount * z(seed, perturbation)), for every trained weight."""

    seed: int
    perturbation: int
    amount: float


@dataclass(frozen=True)
class RoundUpdate:
    """What a round did to the weights.

    seed           public, 64 bit
    mu             probe radius
    perturbations  P, directions probed
    probe          how they were probed, hence what probing left in the weights (`fl.estimators.registry`)
    moves          the step, in order; empty for an erased round, which has been probed but moves nothing
    """

    seed: int
    mu: float
    perturbations: int
    probe: str = "central"
    moves: tuple[Move, ...] = ()

    def operations(self) -> Iterator[Move]:
        """Everything the round added to the weights, in order: the canonical arithmetic of design decision 4."""
        for perturbation, amount in probe_trace(self.probe, self.perturbations, self.mu):
            yield Move(self.seed, perturbation, amount)
        yield from self.moves


def own_moves(seed: int, steps: tuple[float, ...]) -> tuple[Move, ...]:
    """Plain descent along a round's own directions: -steps[j] along z_j."""
    return tuple(Move(seed, j, -step) for j, step in enumerate(steps))
