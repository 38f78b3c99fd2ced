"""The devices of a simulation around a replica of the weights: what measures and what releases, wherever it runs.

A transport (`fl.transport.InProcess`) charges, asks its crew to measure and to release, and carries what it gets to the air.
`LocalCrew` is in this process; `fl.ray_crew` spreads one over actors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fl.device import Device
from fl.local_steps import walk
from fl.order import RoundOrder
from fl.replica import Replica
from fl.update import RoundUpdate
from radio.errors import StoppedEarly


class Measured(NamedTuple):
    """What K devices send, before anything is on the air, each L P numbers; rows of those who do not are 0.  NOT PRIVATE."""

    sent: NDArray[np.float64]  # (K, L P) x_k, noise included
    clean: NDArray[np.float64]  # (K, L P) p_k
    nonfinite: NDArray[np.int64]  # (K,) projections that were NaN or infinite and counted as 0

    @classmethod
    def nothing(cls, devices: int, scalars: int) -> Measured:
        return cls(np.zeros((devices, scalars)), np.zeros((devices, scalars)), np.zeros(devices, np.int64))

    def of(self, active: NDArray[np.bool_]) -> Measured:
        """Without those who are left out."""
        rows = active[:, None]
        return Measured(
            np.where(rows, self.sent, 0.0), np.where(rows, self.clean, 0.0), np.where(active, self.nonfinite, 0)
        )


class CrewLost(StoppedEarly):
    """Who measures or releases is gone, and nobody can tell how far it got.  The slot stays open in the journal, as after a
    crash of this process: a resumed run burns it where it was charged."""


class Crew(Protocol):
    """K devices.  Whatever is released must have been charged before; what goes astray raises CrewLost."""

    probe: str  # what measuring leaves in every replica's weights

    def measure(self, order: RoundOrder) -> None:
        """Every device draws its secret batch of the slot and measures its projections."""

    def release(self, order: RoundOrder, active: NDArray[np.bool_], together: int, noise_std: float = 0.0) -> Measured:
        """What the `active` (K,) of the devices send of what was measured, noise included.

        together   devices announced to take part, `active` or not of this crew
        noise_std  proposed; a device adds more if its own floor is higher
        """

    def walk(self, order: RoundOrder, willing: NDArray[np.bool_]) -> Measured:
        """The local steps of those who are `willing` (K,), noise included."""

    def take(self, update: RoundUpdate) -> None:
        """Every replica takes the step; the slot is closed."""

    def check(self) -> None:
        """Raises InputError where a replica has other weights than the caller's."""

    def close(self) -> None: ...


class LocalCrew:
    """Devices around one replica, the caller's.  Their batches are evaluated together: losses do not depend on batch-mates."""

    def __init__(self, replica: Replica, devices: Sequence[Device]) -> None:
        self.probe = replica.probe
        self._replica = replica
        self._members = devices
        self._projections: list[NDArray[np.float64]] = []

    def measure(self, order: RoundOrder) -> None:
        batches = [device.batch(order.slot) for device in self._members]
        together = [example for batch in batches for example in batch]
        projections = self._replica.projections(together, order.seed, order.perturbations, order.mu)
        self._projections = np.split(projections, np.cumsum([len(batch) for batch in batches])[:-1])

    def release(self, order: RoundOrder, active: NDArray[np.bool_], together: int, noise_std: float = 0.0) -> Measured:
        made = Measured.nothing(len(self._members), order.perturbations)
        for k, (device, projections) in enumerate(zip(self._members, self._projections, strict=True)):
            if active[k]:
                made.sent[k] = device.payload(order.slot, projections, together, noise_std)
                made.clean[k] = device.clean(projections)
                made.nonfinite[k] = np.count_nonzero(~np.isfinite(projections))
        return made

    def walk(self, order: RoundOrder, willing: NDArray[np.bool_]) -> Measured:
        made = Measured.nothing(len(self._members), order.perturbations * order.local_steps)
        start = self._replica.snapshot()
        for k, device in enumerate(self._members):
            if willing[k]:
                made.sent[k], made.clean[k], made.nonfinite[k] = walk(device, self._replica, order)
                self._replica.restore(start)
        return made

    def take(self, update: RoundUpdate) -> None:
        self._replica.update(update)

    def check(self) -> None:
        pass  # there is but one

    def close(self) -> None:
        pass
