"""`fl.transport.Transport` among processes: what the round loop asks for, put to the devices by `fl.lab.server_state`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment
from fl.journal import History
from fl.lab import server_state as protocol
from fl.lab.disagreement import digests_at, explain, sentence
from fl.lab.link import ServerLink
from fl.lab.log import Log
from fl.lab.messages import (
    Compare,
    FromServer,
    MessageError,
    Open,
    Propose,
    Reason,
    Suffix,
    Transmit,
    encode,
    from_device,
)
from fl.order import RoundOrder
from fl.replica import Replica
from fl.transport import Truth
from fl.update import RoundUpdate
from privacy.slots import Slots
from radio.air import AirPlan, Received, Receiver
from radio.errors import BudgetError, InputError

TURN_S = 0.1  # between two looks at the clock and at Ctrl-C
WINDOW_S = 5.0  # a device may take to get its payload on the simulated air
CUE_S = 2.0  # a slot over radios takes tens of milliseconds; a lost unit is looked for
LONGEST_WINDOW_S = 600.0
ANEW_S = 600.0  # for a device's digests of weights made anew from the log
KEPT = 1000  # digests of the server's own weights: whoever is further behind is not compared
DIGESTS_S = 60.0  # for the last digests: a device that is alive and slow must not miss the end


class Hub:
    """The link, the state machine and the log, kept going by whoever waits.

    replica  the server's own, which is what the devices' digests are compared with
    anew     makes the weights that the run began with
    standing  called with `standing` of the state when it changes
    """

    def __init__(
        self,
        link: ServerLink,
        state: protocol.State,
        log: Log,
        replica: Replica,
        anew: Callable[[], Replica],
        say: Callable[[str], None],
        standing: Callable[[tuple[tuple[str, str], ...]], None],
    ) -> None:
        self.state, self.log, self.replica = state, log, replica
        self._ticked = 0.0
        self.ignored = 0  # frames that made no sense
        self._link, self._say, self._standing, self._anew = link, say, standing, anew
        self._known = state  # what `say` has been told of
        self._digests: dict[int, str] = {}
        self._agreed: dict[str, int] = {}
        self._answers: dict[str, tuple[str, ...]] | None = (
            None  # to `Compare`, while somebody's weights are looked into
        )

    def ask(
        self, kind: protocol.Kind, slot: int, messages: Mapping[str, FromServer], number: int = 0
    ) -> frozenset[str]:
        """Put a question to devices and wait; who is in the round then."""
        self.feed(protocol.Ask(kind, slot, messages, number))
        while not self.state.settled:
            self.turn()
        return self.state.taking

    def close_slot(self, slot: int, update: RoundUpdate, committed: bool) -> None:
        """Add to the log, move the server's weights, tell everybody."""
        entry = self.log.add(slot, update, committed)
        self.replica.replay([update])
        if len(self.log) % self.state.welcome.digest_every == 0:
            self._digests[len(self.log)] = self.replica.digest()
            if len(self._digests) > KEPT:
                del self._digests[next(iter(self._digests))]
        self.feed(protocol.Close(entry))

    def end(self, reason: Reason) -> dict[str, str]:
        """Tell everybody; for a run that is over, wait for digests of the final weights.  Digest by device."""
        place = len(self.log)
        self._digests[place] = self.replica.digest()
        self.feed(protocol.End(reason))
        deadline = time.monotonic() + (0.0 if reason in ("interrupted", "error") else DIGESTS_S)
        while time.monotonic() < deadline and any(
            member.peer is not None and self._agreed.get(name) != place for name, member in self.state.members.items()
        ):
            self.turn()
        return {name: self._digests[place] for name, position in self._agreed.items() if position == place}

    def turn(self, timeout_s: float = TURN_S) -> None:
        """Wait for one frame and act on it."""
        frame = self._link.receive(timeout_s)
        if frame is not None:
            try:
                message = from_device(frame.frame)
            except MessageError:
                self.ignored += 1
            else:
                self.feed(protocol.Heard(frame.peer, frame.device, message))
        if frame is None or time.monotonic() - self._ticked >= TURN_S:
            self._ticked = time.monotonic()
            self.feed(protocol.Tick())

    def feed(self, event: protocol.Event) -> None:
        self.state, actions = protocol.step(self.state, event, time.monotonic())
        for action in actions:
            match action:
                case protocol.Send(peer, message):
                    self._send(peer, message)
                case protocol.SendSuffix(peer, had):
                    entries = self.log.rounds(had, min(had + self.state.chunk, len(self.log)))
                    self._send(peer, Suffix(len(self.log), tuple(entries)))
                case protocol.Check(device, position, digest):
                    self._check(device, position, digest)
                case protocol.Answered(device, message) if self._answers is not None:
                    self._answers[device] = message.digests
        self._tell()

    def _send(self, peer: bytes, message: FromServer) -> None:
        if not self._link.send(peer, encode(message)):
            self.feed(protocol.Gone(peer))

    def _check(self, device: str, position: int, digest: str) -> None:
        ours = self._digests.get(position)
        if ours is None or self._answers is not None:
            return  # of a time before this process, or there is no need of another reason to stop
        if digest == ours:
            self._agreed[device] = position
            return
        self._answers = {}
        self._say(f"{device} has other weights than the server after {position} slots: looking for the round")
        verdict = explain(
            lambda places: self._compare(device, places),
            lambda places: digests_at(self._anew(), self.log.updates, places),
            ours,
            self._agreed.get(device, 0),
            position,
        )
        self.feed(protocol.End("error"))
        slots = [entry.slot for entry in self.log.rounds(0, position)]
        raise InputError(
            f"{device} has other weights than the server after {position} slots ({digest[:16]}, not {ours[:16]}): "
            + sentence(verdict, device, slots)
        )

    def _compare(self, device: str, places: Sequence[int]) -> Sequence[str] | None:
        assert self._answers is not None
        self._answers.pop(device, None)
        if (peer := self.state.members[device].peer) is not None:
            self._send(peer, Compare(tuple(places)))
        deadline = time.monotonic() + ANEW_S
        while device not in self._answers and time.monotonic() < deadline:
            if self.state.members[device].peer != peer:
                return None  # lost, and with it the weights in question
            self.turn()
        told = self._answers.get(device)
        return told if told is not None and len(told) == len(places) else None

    def _tell(self) -> None:
        """What a person wants to know of a change."""
        before, self._known = self._known, self.state
        if self.state.members is before.members:
            return
        if (standing := self.state.standing) != before.standing:
            self._standing(standing)
        for name, member in self.state.members.items():
            old = before.members.get(name)
            there, was = member.joined, old is not None and old.joined
            if there != was and (there or self.state.ended is None):  # at the end everybody leaves
                self._say(f"{name} {'has joined' if there else 'is lost'}")
            if old is not None and member.late > old.late:
                self._say(f"{name} is late and left out until it is heard of")
            if old is not None and member.spent > old.spent:
                self._say(f"the privacy budget of {name} is spent; it only follows from now on")


class LabTransport:
    """Devices that are processes of their own.  Whoever is late, lost or without budget is left out of the round.

    air      simulated, in a process of its own, or the receiver beside this server
    cued     whether payloads are sent at the air's cues, over radios; else at Transmit
    charged  device -> the slots it has been charged for; what the devices say is added
    """

    def __init__(
        self,
        experiment: Experiment,
        hub: Hub,
        air: Receiver,
        history: History,
        charged: dict[str, Slots],
        cued: bool,
    ) -> None:
        self.devices = experiment.learning.devices
        self.probe = hub.replica.probe
        self.transmitted = np.zeros(self.devices, bool)
        self._hub, self._air, self._history, self._charged, self._cued = hub, air, history, charged, cued
        privacy = experiment.privacy
        self._may_miss = self.devices if privacy.threat == "own-noise" else privacy.dropouts
        self._order: RoundOrder | None = None

    def present(self) -> NDArray[np.bool_]:
        """(K,) who has measured and can be proposed to."""
        return self._mask(self._hub.state.taking)

    def open(self, order: RoundOrder, willing: NDArray[np.bool_] | None = None) -> None:
        self._order = order
        message = Open(order.slot, len(self._hub.log), order.seed, order.perturbations, order.mu)
        self._hub.ask("open", order.slot, dict.fromkeys(self._hub.state.present, message))

    def collect(self, plan: AirPlan, noise_std: float = 0.0) -> Received:
        order, names = self._order, self._hub.state.names
        assert order is not None, "collect before open"
        active = int(plan.active.sum())
        self.transmitted = plan.active
        proposals: dict[str, FromServer] = {}
        for k in np.flatnonzero(plan.active):
            precoder = complex(plan.precoders[k])
            loudness = (precoder.real, precoder.imag), float(plan.payload_peak)
            proposals[names[k]] = Propose(order.slot, active, float(noise_std), *loudness)
        armed = self._hub.ask("arming", order.slot, proposals)
        for name in armed:
            slots = self._charged.setdefault(name, Slots())
            if order.slot not in slots:  # one that is repeated, with reproducible noise, counts once
                slots.add(order.slot)
        if active and not armed and self.all_spent:
            raise BudgetError("no device has privacy budget for a further round; the rounds so far stand")
        if len(armed) < active - self._may_miss:
            # The noise of those who are missing was counted on.
            return self._erased(
                order, f"{len(armed)} of {active} devices were ready, fewer than the threat model allows"
            )
        sent = self._transmit(order, armed)
        if not self._cued and (unknown := sorted(armed - sent)):
            return self._erased(order, f"whether {', '.join(unknown)} transmitted is not known")
        if len(sent) < active - self._may_miss:
            return self._erased(order, f"{len(sent)} of {active} devices were left for the air")
        self.transmitted = plan.active & self._mask(sent)
        return self._air.receive(order.slot, order.perturbations, replace(plan, active=self.transmitted))

    def _transmit(self, order: RoundOrder, armed: frozenset[str]) -> frozenset[str]:
        """Who has transmitted, or over radios is ready to: nobody has before its cue."""
        if not self._cued:
            return self._hub.ask("air", order.slot, dict.fromkeys(armed, Transmit(order.slot, WINDOW_S)))
        window_s = min(
            LONGEST_WINDOW_S, WINDOW_S + CUE_S * self._air.mode.channel_uses(order.perturbations, len(armed))
        )
        return self._hub.ask("window", order.slot, dict.fromkeys(armed, Transmit(order.slot, window_s)))

    @property
    def all_spent(self) -> bool:
        """Whether every place of the experiment is taken by a device without budget."""
        members = self._hub.state.members.values()
        return len(members) == self.devices and all(m.spent for m in members)

    def commit(self, update: RoundUpdate) -> None:
        assert self._order is not None, "commit before open"
        entry = self._history.updates[-1]  # equal to `update`, and the one that later entries carry on
        self._hub.close_slot(self._order.slot, entry, committed=entry is self._history.last)
        self._order = None

    def truth(self) -> Truth | None:
        return None  # nobody but the devices knows it

    def check(self) -> None:
        pass  # the hub compares digests all the time

    def _mask(self, names: frozenset[str]) -> NDArray[np.bool_]:
        return np.array([name in names for name in self._hub.state.names])

    def _erased(self, order: RoundOrder, reason: str) -> Received:
        nothing = np.full(order.perturbations, math.nan)
        silent = np.full(self.devices, -math.inf)
        return Received(nothing, nothing, nothing, True, reason, np.zeros(self.devices, np.int64), silent)
