"""One device of a lab: its private data, secret and ledger, its replica, its radio, and what carries out
`fl.lab.device_state`."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from fl import session
from fl.config import Experiment, Learning, validate
from fl.device import Device
from fl.estimators.estimator import UNTOUCHED
from fl.guarantee import guarantee_of
from fl.lab import device_state as protocol
from fl.lab.air_service import AirLink, Transmitter
from fl.lab.device_radio import DeviceRadio
from fl.lab.disagreement import digests_at
from fl.lab.facts import facts_of
from fl.lab.greeting import parse
from fl.lab.keys import DeviceKeys
from fl.lab.link import DeviceLink
from fl.lab.log import Log
from fl.lab.messages import (
    Compared,
    Cue,
    Digest,
    Facts,
    MessageError,
    Open,
    Propose,
    Refused,
    Rejoin,
    Round,
    Transmit,
    Welcome,
    encode,
    from_server,
)
from fl.lab.owner import Terms, build_device, check, on_this_host, own_task
from fl.replica import Replica
from fl.run_folder import version
from fl.stop import Stop
from fl.tasks.task import Task
from radio.errors import BudgetError, InputError, PairzeroError, StoppedEarly

TURN_S = 0.25  # between two looks at the clock and at Ctrl-C
ANSWER_S = 0.01  # a payload's cue is answered at a multiple of it: how long a radio takes may depend on the payload


@dataclass
class _Built:
    """What a Welcome's experiment has become here."""

    experiment: Experiment
    task: Task
    replica: Replica
    facts: Facts
    device: Device
    pace_s: float  # answers to Open come at multiples of it; 0: at once


class DeviceProcess:
    """A device that takes part in one run.

    say         gets lines for a person
    patience_s  how long a server that is away is waited for
    radio       its own at a station; None where the air is simulated; the caller's to close
    """

    def __init__(
        self,
        server: str,
        keys: DeviceKeys,
        terms: Terms,
        say: Callable[[str], None],
        patience_s: float = 3600.0,
        radio: DeviceRadio | None = None,
    ) -> None:
        self._server, self._keys, self._terms, self._say = server, keys, terms, say
        self._patience_s = patience_s
        self._radio = radio
        known = ("", None) if radio is None else (radio.serial, radio.tuned)
        self._state = protocol.State(version(), known[0], radio=known[1])
        self._log = Log()
        self._built: _Built | None = None
        self._transmitter: Transmitter | None = None
        self._probed: int | None = None  # slot that was measured since the last entry of the log
        self._projections: NDArray[np.float64] = np.empty((0, 0))
        self._payload: tuple[Propose, NDArray[np.float64]] | None = None
        self._end: protocol.Leave | None = None
        self._told = self._air = ""

    def run(self, stop: Stop) -> str:
        """Until the run is over; returns the digest of the final weights.

        Raises InputError when the device cannot or may not take part, BudgetError when the run ended for want of budgets,
        StoppedEarly when it ended in another way, KeyboardInterrupt once stopped from here.
        """
        try:
            with DeviceLink(self._server, self._keys, self._say, self._patience_s) as self._link:
                connections = self._link.connections
                while self._end is None:
                    if stop and self._state.order is None:
                        raise KeyboardInterrupt
                    frame = self._link.receive(0.0 if self._state.due else TURN_S)
                    if connections != self._link.connections or self._abandoned:
                        connections = self._link.connections
                        self._feed(protocol.Heard(Rejoin()))
                    if frame is not None:
                        self._take(frame)
                        continue  # see all that has come before beginning to measure
                    self._feed(protocol.Tick())
                    if self._state.due is not None:
                        self._measure(self._state.due)
            return self._finish(self._end)
        finally:
            if self._radio is not None:
                self._radio.mute()
            if self._transmitter is not None:
                self._transmitter.close()
            if self._built is not None:
                session.close_ledgers([self._built.device])

    @property
    def _abandoned(self) -> bool:
        """Whether the radio may be sending, or holds a tone, and nobody looks after it any more."""
        return self._radio is not None and self._state.stage == "ready" and not self._link.up

    def _finish(self, end: protocol.Leave) -> str:
        if end.refused:
            raise InputError(f"the server at {self._server} refused {self._keys.name}: {end.refused}")
        if end.stop == "budget":
            raise BudgetError("the run ended because no device has budget left; the rounds so far stand")
        if end.stop != "finished":
            raise StoppedEarly("the server has ended the run; its terminal says why")
        assert self._built is not None
        return self._built.replica.digest()

    def _take(self, frame: bytes) -> None:
        try:
            message = from_server(frame)
        except MessageError as problem:
            self._say(f"ignored a message that makes no sense: {problem}")
            return
        if isinstance(message, Refused) and not message.final and message.reason != self._told:
            self._told = message.reason
            self._say(f"{message.reason} (trying again)")
        self._feed(protocol.Heard(message))

    def _feed(self, event: protocol.Event) -> None:
        """Let the state machine take an event, carry out what it wants, and let it take what comes of that."""
        events = deque([event])
        while events:
            self._state, actions = protocol.step(self._state, events.popleft(), time.monotonic())
            for action in actions:
                result = self._carry_out(action)
                if result is not None:
                    events.append(result)

    def _carry_out(self, action: protocol.Action) -> protocol.Event | None:
        match action:
            case protocol.Say(message):
                self._link.send(encode(message))  # what is lost with a link is asked for again
            case protocol.Build(welcome):
                return self._build(welcome)
            case protocol.Release(propose):
                return self._release(propose)
            case protocol.Emit(transmit):
                return self._emit(transmit)
            case protocol.Perform(cue):
                return self._perform(cue)
            case protocol.Look():
                assert self._radio is not None
                return protocol.Looked(self._radio.temperature_c)
            case protocol.Apply(entries):
                self._apply(entries)
            case protocol.Report(position):
                assert self._built is not None
                self._link.send(encode(Digest(position, self._built.replica.digest())))
            case protocol.Recompute(places):
                assert self._built is not None
                anew = session.build_replica(self._built.experiment, self._built.task)
                self._link.send(encode(Compared(tuple(digests_at(anew, self._log.updates, places)))))
            case protocol.Mute():
                self._payload = None
                if self._radio is not None:
                    self._radio.mute()
            case protocol.Leave():
                self._end = action
        return None

    def _build(self, welcome: Welcome) -> protocol.Built:
        if self._radio is None and not welcome.air_port:
            raise InputError("the server's air is a station's; start this device with --station and its station file")
        if self._radio is not None and welcome.air_port:
            raise InputError("the server's air is simulated; start this device without --station")
        if self._built is None:
            self._built = self._first(welcome)
        if self._radio is None:
            self._air = f"tcp://{parse(self._server)[0]}:{welcome.air_port}"
            self._reach_air()
        ledger = self._built.device.ledger
        charged = -1
        if ledger is not None and ledger.enforce:
            charged = ledger.last_slot(welcome.run_id)
        self._say(f"joining run {welcome.run_id} as device {welcome.index} with {len(self._log)} rounds")
        return protocol.Built(self._built.facts, charged)

    def _reach_air(self) -> bool:
        """A transmitter for the server's present air.  One that cannot be had now is tried again before the next charge."""
        if self._transmitter is not None:
            self._transmitter.close()
            self._transmitter = None
        try:
            self._transmitter = AirLink(self._air, self._keys)
        except PairzeroError as away:
            self._say(str(away))
        return self._transmitter is not None

    def _first(self, welcome: Welcome) -> _Built:
        received = validate(msgspec.json.decode(welcome.experiment), "the server's experiment")
        experiment = on_this_host(received, self._terms)
        guarantee = guarantee_of(experiment)
        simulated = self._radio is None or self._radio.virtual
        if self._terms.data is not None:
            check(received, guarantee, self._terms, self._terms.public, simulated=simulated)
        task, public = own_task(experiment, self._terms)
        many = len(task.train) if self._terms.data is not None else None
        check(received, guarantee, self._terms, public, many, simulated=simulated)
        if self._radio is not None:
            self._radio.prepare(experiment, welcome.index)
        replica = session.build_replica(experiment, task)
        device = build_device(
            self._keys.name,
            welcome.index,
            welcome.run_id,
            experiment,
            task,
            replica.likelihood,
            guarantee,
            self._terms,
            public,
        )
        return _Built(
            experiment,
            task,
            replica,
            facts_of(received, replica),
            device,
            0.0 if public else pace_s(replica, device, experiment.learning),
        )

    def _rebuild(self) -> None:
        """The weights anew, from the log alone."""
        assert self._built is not None
        self._built.replica = session.build_replica(self._built.experiment, self._built.task)
        self._built.replica.replay(self._log.updates)
        self._probed = None

    @property
    def _stained(self) -> bool:
        """Whether the weights hold a probe that the log does not."""
        assert self._built is not None
        return self._probed is not None and self._built.replica.probe != UNTOUCHED

    def _measure(self, order: Open) -> None:
        assert self._built is not None
        began = time.monotonic()
        if self._stained:
            self._rebuild()
        batch = self._built.device.batch(order.slot)
        self._projections = self._built.replica.projections(batch, order.seed, order.perturbations, order.mu)
        self._probed = order.slot
        if pace := self._built.pace_s:
            spent = time.monotonic() - began
            time.sleep(pace * math.ceil(spent / pace) - spent)  # how long it took depends on the batch
        self._feed(protocol.Measured(order.slot))

    def _release(self, propose: Propose) -> protocol.Released:
        assert self._built is not None and self._state.run_id is not None
        learning = self._built.experiment.learning
        if self._projections.shape[1] != learning.perturbations or propose.active > learning.devices:
            self._say(
                f"slot {propose.slot}: {self._projections.shape[1]} numbers as one of {propose.active} devices were asked for; "
                f"the experiment has {learning.perturbations} and {learning.devices}"
            )
            return protocol.Released(propose.slot, "terms")
        if self._radio is None and self._transmitter is None and not self._reach_air():
            return protocol.Released(propose.slot, "air")
        device = self._built.device
        try:
            device.charge(self._state.run_id, propose.slot)  # a ledger that cannot be written ends this process
        except BudgetError as spent:
            self._say(f"slot {propose.slot}: {spent}")
            return protocol.Released(propose.slot, "budget")
        try:
            values = device.payload(propose.slot, self._projections, propose.active, propose.noise_std)
        except InputError as bad:
            self._say(f"slot {propose.slot}: {bad}")
            return protocol.Released(propose.slot, "terms")
        if self._radio is None:
            self._payload = propose, values
        else:
            self._radio.load(propose, values)
        return protocol.Released(propose.slot)

    def _perform(self, cue: Cue) -> protocol.Performed:
        assert self._radio is not None
        began = time.monotonic()
        done, started = self._radio.perform(cue)
        if cue.kind == "payload":
            spent = time.monotonic() - began
            time.sleep(ANSWER_S * math.ceil(spent / ANSWER_S) - spent)
        if self._radio.failure is not None:
            raise self._radio.failure
        return protocol.Performed(cue, done, started)

    def _emit(self, transmit: Transmit) -> protocol.Transmitted:
        assert self._payload is not None and self._transmitter is not None
        (propose, values), self._payload = self._payload, None
        try:
            certain = self._transmitter.transmit(transmit.slot, values, propose, transmit.window_s)
        except PairzeroError as lost:
            self._say(f"slot {transmit.slot}: {lost}")
            certain = False
        if not certain:
            self._transmitter.close()
            self._transmitter = None
        return protocol.Transmitted(transmit.slot, certain)

    def _apply(self, entries: Sequence[Round]) -> None:
        assert self._built is not None
        try:
            updates = [self._log.take(entry) for entry in entries]
        except ValueError as problem:
            raise InputError(f"the server's log cannot be followed: {problem}; look at its journal") from None
        if self._probed == entries[0].slot:
            self._built.replica.update(updates[0])  # its probe was lived through
            updates = updates[1:]
        elif self._stained:
            return self._rebuild()
        self._probed = None
        if updates:
            self._built.replica.replay(updates)


def pace_s(replica: Replica, device: Device, learning: Learning) -> float:
    """A time in which nearly every batch is measured: that of one six standard deviations above the mean, and half as much
    again."""
    expected = device.rate * len(device.examples)
    largest = device.examples[: math.ceil(expected + 6.0 * math.sqrt(expected))]
    start = replica.snapshot()
    times = []
    for _ in range(3):
        began = time.monotonic()
        replica.projections(largest, 0, learning.perturbations, learning.mu)
        times.append(time.monotonic() - began)
    replica.restore(start)
    return 1.5 * max(times[1:])
