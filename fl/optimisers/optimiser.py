"""What an optimiser is: how the received means of a round become its step.

The step of a round is its own part, along the round's own directions, and possibly the step of the committed round before
once more, longer or shorter.  The second part is all that momentum needs: weights are moved along earlier rounds'
directions again, which their seeds give back, and no buffer as large as the weights is kept.

State is a few floats and a pure function of what was committed, in order: whoever feeds the journal's (mean, rate) again
holds the same state.  Arithmetic is Python's floats and `math.fsum`, hence the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

CUT = 1e-3  # moves that have decayed below this share of their first size are not made


@dataclass(frozen=True)
class Step:
    """What one committed round does to the weights.

    own     descent along each of the round's own directions, (L P,)
    decay   the previous committed round's step is taken again, this many times as long ...
    rounds  ... as far as it goes along the directions of the last `rounds` committed rounds; 0: not at all
    """

    own: tuple[float, ...]
    decay: float = 0.0
    rounds: int = 0


class Optimiser(Protocol):
    name: str

    def step(self, mean: Sequence[float], rate: float) -> Step:
        """The step of the next committed round.  mean (L P,): received, per active device; rate: of the schedule."""
        ...


def window(momentum: float) -> int:
    """Committed rounds a move lives for: the smallest k with momentum^k < CUT.

    What is cut off is momentum^k / (1 - momentum) of a total of 1 / (1 - momentum): less than the share CUT of the step a
    direction gets in all.
    """
    rounds, left = 0, 1.0
    while left >= CUT:
        rounds, left = rounds + 1, left * momentum
    return rounds
