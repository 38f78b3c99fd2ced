"""The log of the weights: what one round did to them.  Light to import: the journal and the command line need only this."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundUpdate:
    """What a round did to the weights: public seed (64 bit), probe radius mu, P probes, and the steps eta * mean_j / P.

    An erased round has been probed but moves nothing: its `steps` are empty.
    """

    seed: int
    mu: float
    probes: int
    steps: tuple[float, ...]
