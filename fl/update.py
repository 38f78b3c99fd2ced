"""The log of the weights: what one round did to them.  Light to import: the journal and the command line need only this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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
    own            the step's moves along the round's own directions, in order
    carried        the part of the step that goes along earlier rounds' directions
    An erased round has neither: it has been probed but moves nothing.
    """

    seed: int
    mu: float
    perturbations: int
    probe: str = "central"
    own: tuple[Move, ...] = ()
    carried: Carried | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        """The whole step: own moves, then those of the committed round before, scaled, and so on back in time."""
        moves, factor, at = list(self.own), 1.0, self
        for _ in range(self.carried.rounds if self.carried else 0):
            if at.carried is None:
                break
            factor *= at.carried.decay
            at = at.carried.previous
            moves += [Move(seed, j, factor * amount) for seed, j, amount in at.own]
        return tuple(moves)

    def operations(self) -> Iterator[Move]:
        """Everything the round added to the weights, in order: the canonical arithmetic of design decision 4."""
        for perturbation, amount in probe_trace(self.probe, self.perturbations, self.mu):
            yield Move(self.seed, perturbation, amount)
        yield from self.moves


@dataclass(frozen=True)
class Carried:
    """The previous committed round's step once more, `decay` times as long, along the directions of the last `rounds`
    committed rounds.  An update holds its predecessor and not a copy of it: a window of momentum costs no memory."""

    decay: float
    rounds: int
    previous: RoundUpdate = field(repr=False, compare=False)


def own_moves(seed: int, steps: tuple[float, ...]) -> tuple[Move, ...]:
    """Plain descent along a round's own directions: -steps[j] along z_j."""
    return tuple(Move(seed, j, -step) for j, step in enumerate(steps))
