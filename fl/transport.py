"""How a round reaches the devices and comes back: open (everyone measures), collect (everyone transmits), commit.

`InProcess` is the loopback transport: K devices in this process around one replica and one `Air`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fl.device import Device
from fl.replica import Replica
from fl.update import RoundUpdate
from radio.air import Air, AirPlan, Received
from radio.errors import BudgetError


@dataclass(frozen=True)
class RoundOrder:
    """OPEN: what everybody needs to measure; all of it public."""

    slot: int
    seed: int
    perturbations: int
    mu: float


@dataclass(frozen=True)
class Truth:
    """What only a simulation can know; NOT PRIVATE, for diagnostics alone.  Shapes (K, P)."""

    sent: NDArray[np.float64]  # x_k, noise included
    clean: NDArray[np.float64]  # p_k
    total: NDArray[np.float64]  # (P,) what an air without errors would have received


class Transport(Protocol):
    devices: int

    def open(self, order: RoundOrder) -> None:
        """Every device draws its secret batch and measures its projections."""

    def collect(self, plan: AirPlan) -> Received:
        """Every active device charges, draws its noise and transmits.  Raises BudgetError before anyone transmits."""

    def commit(self, update: RoundUpdate) -> None:
        """Everybody takes the same step; with no steps the slot is closed without one."""

    def truth(self) -> Truth | None:
        """Truths of the last collected slot, where the transport is a simulation."""


class InProcess:
    """All devices in this process.  Their batches are evaluated together: losses do not depend on batch-mates."""

    def __init__(self, run_id: str, replica: Replica, devices: Sequence[Device], air: Air) -> None:
        self.devices = len(devices)
        self._run_id = run_id
        self._replica = replica
        self._members = devices
        self._air = air
        self._order: RoundOrder | None = None
        self._projections: list[NDArray[np.float64]] = []
        self._truth: Truth | None = None

    def open(self, order: RoundOrder) -> None:
        batches = [device.batch(order.slot) for device in self._members]
        together = [example for batch in batches for example in batch]
        projections = self._replica.projections(together, order.seed, order.perturbations, order.mu)
        self._projections = np.split(projections, np.cumsum([len(batch) for batch in batches])[:-1])
        self._order = order

    def collect(self, plan: AirPlan) -> Received:
        assert self._order is not None, "collect before open"
        for device, active in zip(self._members, plan.active, strict=True):
            if active and not device.can_charge():
                raise BudgetError(
                    f"the privacy budget of {device.name} holds no further round; nothing was transmitted in slot "
                    f"{self._order.slot}. The rounds so far stand; a new run needs data with budget left"
                )
        sent = np.zeros((self.devices, self._order.perturbations))
        clean = np.zeros_like(sent)
        for k, (device, projections) in enumerate(zip(self._members, self._projections, strict=True)):
            if plan.active[k]:
                sent[k] = device.release(self._run_id, self._order.slot, projections)
                clean[k] = device.clean(projections)
        self._truth = Truth(sent, clean, self._air.mode.outcome(sent[plan.active]))
        return self._air.aggregate(self._order.slot, sent, plan)

    def commit(self, update: RoundUpdate) -> None:
        self._replica.update(update)
        self._order = None

    def truth(self) -> Truth | None:
        return self._truth
