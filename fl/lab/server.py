"""The server of a lab: the receiver's side of a run, its folder and its journal; the devices are processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.journal import NAME as JOURNAL
from fl.journal import Journal
from fl.lab.air_service import LabAir
from fl.lab.facts import facts_of as shared_facts
from fl.lab.greeting import parse
from fl.lab.keys import load_server
from fl.lab.link import ServerLink
from fl.lab.log import Log
from fl.lab.messages import CHUNK, MOVES, Reason, Welcome
from fl.lab.remote_ledgers import RemoteLedgers
from fl.lab.server_state import State
from fl.lab.transport import Hub, LabTransport
from fl.run import Stop
from fl.run_folder import RunFolder, version
from fl.transport import Transport
from privacy.record_log import read_records
from radio.air import Air, Mode
from radio.errors import BudgetError, InputError, StoppedEarly
from radio.radio import Radio


@dataclass(frozen=True)
class Setup:
    """listen: endpoint; keys: key folder; wait_s: how long the first round waits for devices that are missing."""

    listen: str
    keys: Path
    wait_s: float


def serve(folder: RunFolder, setup: Setup, say: Callable[[str], None], quiet: bool = False) -> dict[str, Any]:
    """Carry a run of a lab to its end, like `fl.run.execute`, which see for what is raised."""
    stop = Stop()
    with stop.listening():
        journal = Journal(folder.path)
        try:
            return Server(folder, journal, stop, quiet, setup, say).run()
        finally:
            journal.close()


class Server(RemoteLedgers):
    def __init__(
        self, folder: RunFolder, journal: Journal, stop: Stop, quiet: bool, setup: Setup, say: Callable[[str], None]
    ) -> None:
        learning, run = folder.experiment.learning, folder.experiment.run
        settings: tuple[tuple[str, object, object], ...] = (
            ("learning.local_steps", learning.local_steps, 1),
            ("run.record_every", run.record_every, 0),
            ("privacy.schedule", folder.experiment.privacy.schedule, "constant"),
        )
        for key, value, allowed in settings:
            if value != allowed:
                raise InputError(
                    f"{key} = {value!r} is for runs in one process (pairzero run); lab mode takes {allowed!r}"
                )
        self.setup, self.say = setup, say
        self.link = ServerLink(setup.listen, load_server(setup.keys), say)
        try:
            super().__init__(folder, journal, stop, quiet)
            self.facts = shared_facts(self.experiment, self.replica)
        except BaseException:
            self.link.close()
            raise
        self.hub: Hub | None = None
        self.agreed: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        try:
            return super().run()
        except BaseException as error:
            if self.hub is not None:  # an orderly end has told the devices already
                self.hub.end("interrupted" if isinstance(error, (KeyboardInterrupt, StoppedEarly)) else "error")
            raise
        finally:
            self.link.close()

    def _open_air(self, listen: Callable[[Radio], Radio] | None, leaving: ExitStack) -> Air:
        air = LabAir(self.experiment, parse(self.setup.listen)[0], self.setup.keys, self._present)
        leaving.callback(air.close)
        return air

    def _present(self) -> NDArray[np.bool_]:
        return self.transport.present()

    def _transport(self, air: Air, leaving: ExitStack) -> Transport:
        assert isinstance(air, LabAir)
        learning, history = self.experiment.learning, self.journal.history
        welcome = Welcome(
            self.run_id, self.experiment.model_dump_json(), 0, air.port, self.experiment.run.evaluate_every
        )
        log = Log.of(history, read_records(self.folder.path / JOURNAL))
        state = State(
            welcome,
            self.facts,
            version(),
            self._names(),
            chunk=max(1, min(CHUNK, MOVES // learning.perturbations)),
            length=len(log),
        )
        self.hub = Hub(self.link, state, log, self.replica, self.say, self._named)
        self.transport = LabTransport(self.experiment, self.hub, air, history)
        self.charged = self.transport.charged
        self.say(f"listening at {self.link.endpoint} for {learning.devices} devices")
        self._gather(learning.devices, time.monotonic() + self.setup.wait_s)
        # What was charged and never closed is burned.  Devices that are not here yet see to it themselves.
        for slot in range(max(history.slots, default=-1) + 1, self.hub.state.charged + 1):
            self.journal.burn(slot)
        return self.transport

    def _gather(self, wanted: int, deadline: float) -> None:
        """Until so many devices are here, or after the deadline at least one, or a stop is asked for."""
        assert self.hub is not None
        while not self.stop and len(self.hub.state.present) < wanted:
            if time.monotonic() >= deadline and self.hub.state.present:
                return
            if self.transport.all_spent:
                raise BudgetError("no device has privacy budget for a further round; the rounds so far stand")
            self.hub.turn()

    def _stopping(self) -> bool:
        self._gather(1, 0.0)
        return bool(self.stop)

    def _conclude(self, over: BudgetError | StoppedEarly | None, mode: Mode) -> dict[str, Any]:
        assert self.hub is not None
        done = self.journal.history.rounds >= self.experiment.learning.rounds
        reason: Reason = "budget" if isinstance(over, BudgetError) else "finished" if done else "interrupted"
        hub, self.hub = self.hub, None
        for name, digest in sorted(hub.end(reason).items()):
            self.say(f"{name} has the same weights: {digest[:16]}")
        return super()._conclude(over, mode)
