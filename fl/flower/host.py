"""One replica in a process of a node, and the devices that take turns with it.

What a process knows is the log, so a new process, a late node and one that has missed rounds are all the same: they are
given what they lack.  A measurement leaves nothing in the weights here: its probe comes with the log, once, however many of
the devices of this process have measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from fl import session
from fl.config import Experiment, validate
from fl.device import Device
from fl.estimators.estimator import UNTOUCHED
from fl.guarantee import guarantee_of
from fl.lab.device import pace_s
from fl.lab.facts import facts_of
from fl.lab.log import Log
from fl.lab.messages import Facts, Open, Round
from fl.lab.owner import Terms, build_device, check, on_this_host, open_ledger, own_task
from privacy.ledger import Ledger


class Host:
    """See the module.

    Args:
        received: the experiment as JSON.
        run_id: of the run.
        terms: the data owner's; None: the devices are partitions of the server's data, and their ledgers are with it.
        threads: of this process; the weights do not depend on it.

    Raises InputError where the owner does not allow the experiment.
    """

    def __init__(self, received: str, run_id: str, terms: Terms | None, threads: int) -> None:
        told = validate(msgspec.json.decode(received), "the server's experiment")
        self.run_id, self.terms = run_id, terms
        self.experiment: Experiment = told if terms is None else on_this_host(told, terms)
        running = self.experiment.run.model_copy(update={"threads": threads})
        here = self.experiment.model_copy(update={"run": running})
        self.guarantee = guarantee_of(told)
        self.public = False
        if terms is None:
            self._task = session.experiment_task(here)
        else:
            if terms.data is not None:
                check(told, self.guarantee, terms, terms.public)
            self._task, self.public = own_task(here, terms)
            own = len(self._task.train) if terms.data is not None else None
            check(told, self.guarantee, terms, self.public, own)
        self._replica = session.build_replica(here, self._task)
        self.facts: Facts = facts_of(told, self._replica)
        self._log = Log()
        self._devices: dict[int, Device] = {}
        self._paces: dict[int, float] = {}

    @property
    def had(self) -> int:
        """Entries of the log."""
        return len(self._log)

    def follow(self, entries: Sequence[Round]) -> bool:
        """Those entries of the log that are new.  False where some before them are missing."""
        new = [entry for entry in entries if entry.position >= self.had]
        if new and new[0].position > self.had:
            return False
        self._replica.replay([self._log.take(entry) for entry in new])
        return True

    def device(self, index: int, name: str) -> Device:
        """A device without its ledger."""
        if index not in self._devices:
            if self.terms is None:
                (device,) = session.build_devices(
                    self.experiment, self._task, self._replica.likelihood, self.guarantee, None, only={index}
                )
            else:
                device = build_device(
                    name, index, self.run_id, self.experiment, self._task, self._replica.likelihood, self.guarantee,
                    self.terms, self.public, charging=False,
                )  # fmt: skip
            self._devices[index] = device
        return self._devices[index]

    def ledger(self, index: int, name: str) -> Ledger | None:
        """The owner's ledger, open (the caller closes it); None where the server charges, or privacy is off."""
        if self.terms is None or self.guarantee is None:
            return None
        return open_ledger(
            name, index, self.run_id, self.experiment, self._task, self.guarantee, self.terms, self.public
        )

    def pace_s(self, device: Device, index: int) -> float:
        """Answers about an owner's private data come at multiples of it; 0: at once."""
        if self.terms is None or self.public:
            return 0.0
        if index not in self._paces:
            self._paces[index] = pace_s(self._replica, device, self.experiment.learning)
        return self._paces[index]

    def measure(self, device: Device, order: Open) -> NDArray[np.float64]:
        """Projections of the device's secret batch, (n, P).  The weights end as they were."""
        stains = self._replica.probe != UNTOUCHED
        before = self._replica.snapshot() if stains else {}
        projections = self._replica.projections(device.batch(order.slot), order.seed, order.perturbations, order.mu)
        if stains:
            self._replica.restore(before)
        return projections

    def digest(self) -> str:
        return self._replica.digest()
