"""One device: its private examples, its secret, its ledger.  Nothing computed from the examples leaves but the payload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fl.likelihood import Encoded
from privacy.grid import Grid
from privacy.ledger import Ledger
from privacy.mechanism import OwnNoise
from privacy.noise import Secret
from privacy.sampling import poisson_batch


@dataclass(frozen=True)
class Device:
    """Private state of one device.

    examples   the device's own data, tokenised
    rate       q, the public sampling rate common to all devices
    grid       clip, grid and fixed denominator
    mechanism  own noise and what a round costs; None when privacy is off
    ledger     charged and synced before every transmission; None when privacy is off
    """

    name: str
    examples: Sequence[Encoded]
    rate: float
    grid: Grid
    secret: Secret
    mechanism: OwnNoise | None = None
    ledger: Ledger | None = None

    @property
    def noise_std(self) -> float:
        """Standard deviation of the own noise on each scalar, payload units."""
        return 0.0 if self.mechanism is None else self.mechanism.noise_std

    def batch(self, slot: int) -> list[Encoded]:
        """A secret Poisson batch, fresh for every slot."""
        drawn = poisson_batch(self.secret.stream("slot", slot, "batch"), len(self.examples), self.rate)
        return [self.examples[i] for i in drawn]

    def can_charge(self) -> bool:
        if self.ledger is None or self.mechanism is None or not self.ledger.enforce:
            return True
        return self.ledger.remaining(self.mechanism.charge) > 0

    def release(self, run_id: str, slot: int, projections: NDArray[np.float64]) -> NDArray[np.float64]:
        """The payload x = p + n to transmit, (P,), from the batch's projections (n, P).

        The charge is durable before the noise is drawn.  Raises BudgetError, and sends nothing, if it would overspend.
        """
        if self.mechanism is None:
            return self.clean(projections)
        if self.ledger is not None:
            self.ledger.charge(run_id, slot, self.mechanism.charge)
        return self.mechanism.release(projections, self.secret.stream("slot", slot, "noise"))

    def clean(self, projections: NDArray[np.float64]) -> NDArray[np.float64]:
        """The payload before noise.  NOT PRIVATE: for diagnostics of a simulation, or when privacy is off."""
        return self.grid.payload(self.grid.project(projections))
