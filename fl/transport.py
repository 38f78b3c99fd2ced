"""How a round reaches the devices and comes back: open (everyone measures), collect (everyone transmits), commit.

`InProcess` is the transport of runs that one process carries, on the loopback or over a station; lab mode has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fl.crew import Crew, Measured
from fl.device import Device
from fl.order import RoundOrder
from fl.update import RoundUpdate
from radio.air import Air, AirPlan, Received
from radio.errors import BudgetError


@dataclass(frozen=True)
class Truth:
    """What only a simulation can know; NOT PRIVATE, for diagnostics alone.  Of K devices that send L P numbers each."""

    sent: NDArray[np.float64]  # (K, L P) x_k, noise included
    clean: NDArray[np.float64]  # (K, L P) p_k
    nonfinite: NDArray[np.int64]  # (K,) projections that were NaN or infinite and counted as 0
    total: NDArray[np.float64]  # (L P,) what an air without errors would have received


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

    def check(self) -> None:
        """After the last round.  Raises InputError where a replica has other weights than the log says."""


def charge(devices: Sequence[Device], run_id: str, order: RoundOrder, active: NDArray[np.bool_]) -> None:
    """Charge the slot for those of the devices that are `active` (K,), durably.

    Raises BudgetError, with nobody charged, where one of them has no budget left."""
    members = [device for device, takes_part in zip(devices, active, strict=True) if takes_part]
    first, steps = order.slot * order.local_steps, order.local_steps
    for device in members:
        if not device.can_charge(steps, first):
            raise BudgetError(
                f"the privacy budget of {device.name} holds no further round; nothing was transmitted in slot "
                f"{order.slot}. The rounds so far stand; a new run needs data with budget left"
            )
    for release in range(first, first + steps):  # device by device would charge a shared ledger K times
        for device in members:
            device.charge(run_id, release)


class InProcess:
    """K devices that this process looks after, on one `Air`: their ledgers are here, and so is what they send.

    devices  all K, for their ledgers
    crew     the same, for what they measure and release
    """

    def __init__(self, run_id: str, crew: Crew, devices: Sequence[Device], air: Air) -> None:
        self.devices = len(devices)
        self.probe = crew.probe
        self.transmitted = np.zeros(self.devices, bool)
        self._run_id = run_id
        self._crew = crew
        self._members = devices
        self._air = air
        self._order: RoundOrder | None = None
        self._walked: Measured | None = None
        self._truth: Truth | None = None

    def open(self, order: RoundOrder, willing: NDArray[np.bool_] | None = None) -> None:
        self._order, self._walked = order, None
        if order.local_steps == 1:
            self._crew.measure(order)
            return
        taking_part = np.ones(self.devices, bool) if willing is None else willing
        charge(self._members, self._run_id, order, taking_part)
        self._walked = self._crew.walk(order, taking_part)

    def collect(self, plan: AirPlan, noise_std: float = 0.0) -> Received:
        order = self._order
        assert order is not None, "collect before open"
        if self._walked is not None:
            measured = self._walked.of(plan.active)
        else:
            charge(self._members, self._run_id, order, plan.active)
            measured = self._crew.release(order, plan.active, int(plan.active.sum()), noise_std)
        self.transmitted = plan.active
        total = self._air.mode.outcome(measured.sent[plan.active])
        self._truth = Truth(*measured, total)
        return self._air.aggregate(order.slot, measured.sent, plan)

    def commit(self, update: RoundUpdate) -> None:
        self._crew.take(update)
        self._order = None

    def truth(self) -> Truth | None:
        return self._truth

    def check(self) -> None:
        self._crew.check()
