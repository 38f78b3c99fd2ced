"""Some of a simulation's devices with a replica of their own, in a process that holds nothing else: a Ray actor, say.

It is told what is public (the experiment, orders, the log's entries) and answers with payloads.  Its devices' data, batches
and noise stay with it; their ledgers are with the transport, which charges before it asks for a release.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from fl import session
from fl.config import validate
from fl.crew import LocalCrew, Measured
from fl.guarantee import guarantee_of
from fl.lab.log import Log
from fl.lab.messages import Round
from fl.order import RoundOrder


class HostedCrew:
    """See the module.

    Args:
        experiment: as JSON.
        devices: which of its devices are here.
        threads: of this process; the weights do not depend on it.
    """

    def __init__(self, experiment: str, devices: Sequence[int], threads: int = 1) -> None:
        received = validate(msgspec.json.decode(experiment), "the experiment")
        here = received.model_copy(update={"run": received.run.model_copy(update={"threads": threads})})
        task = session.experiment_task(here)
        self._replica = session.build_replica(here, task)
        members = session.build_devices(
            here, task, self._replica.likelihood, guarantee_of(here), None, only=frozenset(devices)
        )
        self._crew = LocalCrew(self._replica, members)
        self._log = Log()
        self._probed: int | None = None  # slot whose probe is in the weights and not in the log yet

    def measure(self, order: RoundOrder) -> None:
        """See `fl.crew.Crew`."""
        self._crew.measure(order)
        self._probed = order.slot

    def release(self, order: RoundOrder, active: NDArray[np.bool_], together: int, noise_std: float = 0.0) -> Measured:
        """See `fl.crew.Crew`; `active` of the devices that are here."""
        return self._crew.release(order, active, together, noise_std)

    def walk(self, order: RoundOrder, willing: NDArray[np.bool_]) -> Measured:
        """See `fl.crew.Crew`; `willing` of the devices that are here."""
        self._probed = order.slot
        return self._crew.walk(order, willing)

    def follow(self, entries: Sequence[Round]) -> None:
        """The next entries of the log.  Raises ValueError if they are not the next."""
        updates = [self._log.take(entry) for entry in entries]
        if updates and self._probed == entries[0].slot:
            self._replica.update(updates.pop(0))  # its probe was lived through
        self._probed = None
        self._replica.replay(updates)

    def digest(self) -> str:
        """Of the weights after all that was followed."""
        return self._replica.digest()
