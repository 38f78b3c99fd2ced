"""What opens a round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundOrder:
    """OPEN: what everybody needs to measure; all of it public.

    local_steps  L, measurements a device makes one after another, moving by `rate` in between
    """

    slot: int
    seed: int
    perturbations: int
    mu: float
    local_steps: int = 1
    rate: float = 0.0
