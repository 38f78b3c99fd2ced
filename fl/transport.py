"""How a round reaches the devices and comes back: open (everyone measures), collect (everyone transmits), commit.

`InProcess` is the loopback transport: K devices in this process around one replica and one `Air`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fl.device import Device
from fl.local_steps import walk
from fl.replica import Replica
from fl.update import RoundUpdate
from radio.air import Air, AirPlan, Received
from radio.errors import BudgetError


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


@dataclass(frozen=True)
class Truth:
    """What only a simulation can know; NOT PRIVATE, for diagnostics alone.  Of K devices that send L P numbers each."""

    sent: NDArray[np.float64]  # (K, L P) x_k, noise included
    clean: NDArray[np.float64]  # (K, L P) p_k
    nonfinite: NDArray[np.int64]  # (K,) projections that were NaN or infinite and counted as 0
    total: NDArray[np.float64]  # (L P,) what an air without errors would have received


class _Measured(NamedTuple):
    """The first three of a `Truth`, before anything is on the air."""

    sent: NDArray[np.float64]
    clean: NDArray[np.float64]
    nonfinite: NDArray[np.int64]


class Transport(Protocol):
    devices: int
    probe: str  # what measuring leaves in every replica's weights
    transmitted: NDArray[np.bool_]  # (K,) who of the active devices did, in the slot collected last

    def open(self, order: RoundOrder, willing: NDArray[np.bool_] | None = None) -> None:
        """Every device draws its secret batch and measures its projections; with local steps it also charges them and
        draws their noise, for it moves by what it will send.  Raises BudgetError before anyone has."""

    def collect(self, plan: AirPlan, noise_std: float = 0.0) -> Received:
        """Every active device charges, draws its noise, `noise_std` or more if its own floor is higher, and transmits.
        Raises BudgetError before anyone transmits.

        With local steps what is sent is ready, and so that channel estimates stay fresh nothing is left but to send it.
        """

    def commit(self, update: RoundUpdate) -> None:
        """Everybody takes the same step; with no steps the slot is closed without one."""

    def truth(self) -> Truth | None:
        """Truths of the last collected slot, where the transport is a simulation."""


class InProcess:
    """All devices in this process.  Their batches are evaluated together: losses do not depend on batch-mates."""

    def __init__(self, run_id: str, replica: Replica, devices: Sequence[Device], air: Air) -> None:
        self.devices = len(devices)
        self.probe = replica.probe
        self.transmitted = np.zeros(self.devices, bool)
        self._run_id = run_id
        self._replica = replica
        self._members = devices
        self._air = air
        self._order: RoundOrder | None = None
        self._projections: list[NDArray[np.float64]] = []
        self._walked: _Measured | None = None
        self._truth: Truth | None = None

    def open(self, order: RoundOrder, willing: NDArray[np.bool_] | None = None) -> None:
        self._order = order
        if order.local_steps > 1:
            self._walked = self._walk(order, np.ones(self.devices, bool) if willing is None else willing)
            return
        self._walked = None
        batches = [device.batch(order.slot) for device in self._members]
        together = [example for batch in batches for example in batch]
        projections = self._replica.projections(together, order.seed, order.perturbations, order.mu)
        self._projections = np.split(projections, np.cumsum([len(batch) for batch in batches])[:-1])

    def _walk(self, order: RoundOrder, willing: NDArray[np.bool_]) -> _Measured:
        """The local steps of those who take part, one device after another on the one replica."""
        walkers = [device for device, takes_part in zip(self._members, willing, strict=True) if takes_part]
        self._check_budgets(order, walkers)
        first = order.slot * order.local_steps
        for release in range(first, first + order.local_steps):  # device by device would charge a shared ledger K times
            for device in walkers:
                device.charge(self._run_id, release)
        scalars = order.perturbations * order.local_steps
        sent, clean = np.zeros((self.devices, scalars)), np.zeros((self.devices, scalars))
        nonfinite = np.zeros(self.devices, np.int64)
        start = self._replica.snapshot()
        for k, device in enumerate(self._members):
            if willing[k]:
                sent[k], clean[k], nonfinite[k] = walk(device, self._replica, order)
                self._replica.restore(start)
        return _Measured(sent, clean, nonfinite)

    def _check_budgets(self, order: RoundOrder, devices: Iterable[Device]) -> None:
        for device in devices:
            if not device.can_charge(order.local_steps, order.slot * order.local_steps):
                raise BudgetError(
                    f"the privacy budget of {device.name} holds no further round; nothing was transmitted in slot "
                    f"{order.slot}. The rounds so far stand; a new run needs data with budget left"
                )

    def collect(self, plan: AirPlan, noise_std: float = 0.0) -> Received:
        order = self._order
        assert order is not None, "collect before open"
        if self._walked is not None:
            active = plan.active[:, None]
            sent, clean = np.where(active, self._walked.sent, 0.0), np.where(active, self._walked.clean, 0.0)
            return self._transmit(order, plan, _Measured(sent, clean, np.where(plan.active, self._walked.nonfinite, 0)))
        self._check_budgets(order, (d for d, active in zip(self._members, plan.active, strict=True) if active))
        sent = np.zeros((self.devices, order.perturbations))
        clean = np.zeros_like(sent)
        nonfinite = np.zeros(self.devices, np.int64)
        together = int(plan.active.sum())
        for k, (device, projections) in enumerate(zip(self._members, self._projections, strict=True)):
            if plan.active[k]:
                sent[k] = device.release(self._run_id, order.slot, projections, together, noise_std)
                clean[k] = device.clean(projections)
                nonfinite[k] = np.count_nonzero(~np.isfinite(projections))
        return self._transmit(order, plan, _Measured(sent, clean, nonfinite))

    def _transmit(self, order: RoundOrder, plan: AirPlan, measured: _Measured) -> Received:
        self.transmitted = plan.active
        total = self._air.mode.outcome(measured.sent[plan.active])
        self._truth = Truth(measured.sent, measured.clean, measured.nonfinite, total)
        return self._air.aggregate(order.slot, measured.sent, plan)

    def commit(self, update: RoundUpdate) -> None:
        self._replica.update(update)
        self._order = None

    def truth(self) -> Truth | None:
        return self._truth
