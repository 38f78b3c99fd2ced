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

from fl import session
from fl.journal import NAME as JOURNAL
from fl.journal import Journal
from fl.lab.air_service import LabAir
from fl.lab.facts import facts_of as shared_facts
from fl.lab.greeting import parse
from fl.lab.keys import load_server
from fl.lab.link import ServerLink
from fl.lab.log import Log
from fl.lab.messages import CHUNK, MOVES, Reason, Tuned, Welcome
from fl.lab.remote_cast import RemoteCast
from fl.lab.remote_ledgers import RemoteLedgers
from fl.lab.server_state import State
from fl.lab.transport import Hub, LabTransport
from fl.replica import Replica
from fl.run_folder import DEVICES, RunFolder, version, write_json
from fl.station import not_used, open_receiver_air
from fl.station_log import StationLog
from fl.stop import Stop
from fl.transport import Transport
from privacy.record_log import read_records
from radio.air import Mode, Receiver
from radio.errors import BudgetError, InputError, StoppedEarly
from radio.radio import Radio

SMALL = 100_000  # trained weights whose digest costs a fraction of a millisecond: they are compared in every slot
FAREWELL_S = 5.0  # a device that lost its server is back by then
HEARD_S = 1.0  # for devices to read that the run has ended before its time


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
            ("radio.check_every", folder.experiment.radio.check_every or 0, 0),
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
            super().__init__(folder, journal, stop, quiet, allow_tx=True)  # whether a device may is its own matter
            self.facts = shared_facts(self.experiment, self.replica)
        except BaseException:
            self.link.close()
            raise
        self.hub: Hub | None = None
        self.tuned: Tuned | None = None
        self.agreed: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        try:
            return super().run()
        except BaseException as error:
            if self.hub is not None:  # an orderly end has told the devices already
                self.hub.end("interrupted" if isinstance(error, (KeyboardInterrupt, StoppedEarly)) else "error")
                time.sleep(HEARD_S)  # libzmq drops what a device has not read when the link ends
            raise
        finally:
            self.link.close()

    def _open_air(self, listen: Callable[[Radio], Radio] | None, leaving: ExitStack) -> Receiver:
        """The simulated air in its process, or the station's receiver with the devices' transmitters at the end of cues."""
        if self.bench is None:
            host = parse(self.setup.listen)[0]
            air = LabAir(self.experiment, host, self.setup.keys, self._present, lambda: self._hub().state.names)
            leaving.callback(air.close)
            return air
        cast = RemoteCast(self.experiment.learning.devices, self._hub)
        remedy = f". Mend that, then continue with: pairzero server --resume {self.folder.path}"
        over_radios = open_receiver_air(self.experiment, self.bench.file, cast, listen, remedy)
        leaving.callback(over_radios.close)
        station, found = self.bench.file.station, over_radios.metadata()
        hz = None if found is None else found["receiver"]["xo_correction_hz"]
        self.tuned = Tuned(station.lo_hz, station.rate_sps, station.clock, hz)
        air_in_words, note = self.bench.described(self.experiment), not_used(self.experiment)
        self.say(f"{air_in_words}; {note}")
        log = StationLog(self.folder.path, air_in_words, note, found)
        leaving.callback(lambda: log.end(over_radios.metadata()))
        return over_radios

    def _anew(self) -> Replica:
        return session.build_replica(self.experiment, self.task)

    def _present(self) -> NDArray[np.bool_]:
        return self.transport.present()

    def _hub(self) -> Hub:
        assert self.hub is not None
        return self.hub

    def _device_names(self) -> list[str]:
        return [name or f"device {k}" for k, name in enumerate(self._hub().state.names)]

    def _transport(self, air: Receiver, leaving: ExitStack) -> Transport:
        learning, history = self.experiment.learning, self.journal.history
        digest_every = 1 if self.replica.trainable <= SMALL else self.experiment.run.evaluate_every
        port = air.port if isinstance(air, LabAir) else 0
        welcome = Welcome(self.run_id, self.experiment.model_dump_json(), 0, port, digest_every)
        log = Log.of(history, read_records(self.folder.path / JOURNAL))
        state = State(
            welcome,
            self.facts,
            version(),
            self._names(),
            chunk=max(1, min(CHUNK, MOVES // learning.perturbations)),
            length=len(log),
            radio=self.tuned,
        )
        self.hub = Hub(self.link, state, log, self.replica, self._anew, self.say, self._standing)
        self._standing(state.standing)
        self.transport = LabTransport(
            self.experiment, self.hub, air, history, self.charged, cued=self.bench is not None
        )
        self.say(f"listening at {self.link.endpoint} for {learning.devices} devices")
        if history.rounds < learning.rounds:
            self._gather(learning.devices, time.monotonic() + self.setup.wait_s)
        else:  # nothing is left but to tell those who wait for the end
            self._gather(learning.devices, time.monotonic() + min(self.setup.wait_s, FAREWELL_S), least=0)
        # What was charged and never closed is burned.  Devices that are not here yet see to it themselves.
        for slot in range(history.slots.last + 1, self.hub.state.charged + 1):
            self.journal.burn(slot)
        return self.transport

    def _gather(self, wanted: int, deadline: float, least: int = 1) -> None:
        """Until so many devices are here, or after the deadline `least`, or a stop is asked for."""
        assert self.hub is not None
        while not self.stop and len(self.hub.state.present) < wanted:
            if time.monotonic() >= deadline and len(self.hub.state.present) >= least:
                return
            if least and self.transport.all_spent:
                raise BudgetError("no device has privacy budget for a further round; the rounds so far stand")
            self.hub.turn()

    def _stopping(self) -> bool:
        self._gather(1, 0.0)
        return bool(self.stop)

    def _standing(self, standing: tuple[tuple[str, str], ...]) -> None:
        write_json(self.folder.path / DEVICES, [{"name": name, "state": word} for name, word in standing])

    def _temperatures(self) -> list[float | None]:
        assert self.hub is not None
        members = self.hub.state.members
        return [getattr(members.get(name), "temperature_c", None) for name in self.hub.state.names]

    def _conclude(self, over: BudgetError | StoppedEarly | None, mode: Mode) -> dict[str, Any]:
        assert self.hub is not None
        done = self.journal.history.rounds >= self.experiment.learning.rounds
        reason: Reason = "budget" if isinstance(over, BudgetError) else "finished" if done else "interrupted"
        hub, self.hub = self.hub, None
        for name, digest in sorted(hub.end(reason).items()):
            self.say(f"{name} has the same weights: {digest[:16]}")
        return super()._conclude(over, mode)
