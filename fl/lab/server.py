"""The server of a lab: the receiver's side of a run, its folder and its journal; the devices are processes of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.device import Device
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
from fl.lab.server_state import State
from fl.lab.transport import Hub, LabTransport
from fl.privacy_facts import CHARGES, facts_of
from fl.run import Execution, Stop
from fl.run_folder import RunFolder, version, write_atomic, write_json
from fl.station import not_used, open_receiver_air
from fl.station_log import StationLog
from fl.transport import Transport
from privacy.accounting import epsilon
from privacy.facts import OwnerSpent, PrivacyFacts
from privacy.record_log import encode, read_records
from radio.air import Mode, Receiver
from radio.errors import BudgetError, InputError, StoppedEarly
from radio.radio import Radio

DEVICES = "devices.json"


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


class Server(Execution):
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
            super().__init__(folder, journal, stop, quiet, allow_tx=True)  # whether a device may is its own matter
            self.facts = shared_facts(self.experiment, self.replica)
            self.earlier = self._earlier_charges()
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
            raise
        finally:
            self.link.close()

    def _build_devices(self, ledgers: Path) -> list[Device]:
        return []

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

    def _present(self) -> NDArray[np.bool_]:
        return self.transport.present()

    def _hub(self) -> Hub:
        assert self.hub is not None
        return self.hub

    def _device_names(self) -> list[str]:
        return [name or f"device {k}" for k, name in enumerate(self._hub().state.names)]

    def _transport(self, air: Receiver) -> Transport:
        learning, history = self.experiment.learning, self.journal.history
        welcome = Welcome(
            self.run_id,
            self.experiment.model_dump_json(),
            0,
            air.port if isinstance(air, LabAir) else 0,
            self.experiment.run.evaluate_every,
        )
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
        self.hub = Hub(self.link, state, log, self.replica, self.say, self._named)
        self.transport = LabTransport(self.experiment, self.hub, air, history, cued=self.bench is not None)
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

    def _names(self) -> tuple[str, ...]:
        """Which device has which place, as it was when the run was last carried on."""
        file = self.folder.path / DEVICES
        if file.is_file():
            return tuple(json.loads(file.read_text(encoding="utf-8")))
        return ("",) * self.experiment.learning.devices

    def _named(self, names: tuple[str, ...]) -> None:
        write_json(self.folder.path / DEVICES, list(names))

    def _conclude(self, over: BudgetError | StoppedEarly | None, mode: Mode) -> dict[str, Any]:
        assert self.hub is not None
        done = self.journal.history.rounds >= self.experiment.learning.rounds
        reason: Reason = "budget" if isinstance(over, BudgetError) else "finished" if done else "interrupted"
        hub, self.hub = self.hub, None
        for name, digest in sorted(hub.end(reason).items()):
            self.say(f"{name} has the same weights: {digest[:16]}")
        return super()._conclude(over, mode)

    # privacy, as far as the server can know: what devices have said they charged

    def _earlier_charges(self) -> dict[str, dict[int, int]]:
        """What earlier processes of this run knew; after a crash, every slot of the journal counts for every device."""
        file = self.folder.path / CHARGES
        known: dict[str, dict[int, int]] = {}
        for copy in read_records(file) if file.is_file() else []:
            known.setdefault(copy["owner"], {})[copy["slot"]] = copy["times"]
        seen = {slot for slots in known.values() for slot in slots}
        for name in filter(None, self._names()):
            known.setdefault(name, {}).update({slot: 1 for slot in self.journal.history.slots - seen})
        return known

    def _charges(self) -> dict[str, dict[int, int]]:
        latest = self.transport.charged
        return {n: {**self.earlier.get(n, {}), **latest.get(n, {})} for n in sorted({*self.earlier, *latest})}

    def _epsilon(self) -> float | None:
        if self.guarantee is None:
            return None
        worst = max((sum(slots.values()) for slots in self._charges().values()), default=0)
        return epsilon([(self.guarantee.charge, worst)] if worst else [], self.guarantee.delta)

    def _copy_charges(self) -> None:
        if self.guarantee is None:
            return
        charge = self.guarantee.charge
        same = {"sampling_rate": charge.sampling_rate, "noise_multiplier": charge.noise_multiplier}
        lines = [
            encode({"owner": name, "slot": slot, "times": times, **same}).decode()
            for name, slots in self._charges().items()
            for slot, times in sorted(slots.items())
        ]
        write_atomic(self.folder.path / CHARGES, "".join(lines))

    def _privacy_facts(self) -> PrivacyFacts:
        owners = []
        for name, slots in self._charges().items():
            rounds = sum(slots.values())
            if self.guarantee is not None:
                spent = epsilon([(self.guarantee.charge, rounds)] if rounds else [], self.guarantee.delta)
                owners.append(OwnerSpent(name, spent, rounds, "the device's own ledger; this run alone"))
        return facts_of(self.folder.path, self.experiment, self.guarantee, owners)
