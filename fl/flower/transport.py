"""`fl.transport.Transport` over Flower: measure, then two phases, arm and fire."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fl.crew import CrewLost
from fl.device import Device
from fl.flower.fleet import Fleet
from fl.flower.wire import ARM, FIRE
from fl.journal import History
from fl.lab.log import Log
from fl.lab.messages import Armed, Declined, Open, Payload, Propose, Sent, Transmit
from fl.order import RoundOrder
from fl.replica import Replica
from fl.transport import Truth, charge
from fl.update import RoundUpdate
from privacy.slots import Slots
from radio.air import Air, AirPlan, Received
from radio.errors import BudgetError, InputError

WINDOW_S = 60.0  # a node may take to transmit


class Receiver(Protocol):
    """An air whose devices transmit by themselves: this end has only the receiver."""

    def aggregate_sent(self, slot: int, scalars: int, plan: AirPlan, names: Sequence[str]) -> Received: ...


class FlowerTransport:
    """Devices that are nodes of Flower.

    devices   with ledgers, where the server keeps them; [] where the nodes do: then whoever is late, lost or without budget
              is left out of the round
    may_miss  devices that may be missing of those whose noise was counted on
    charged   device -> the slots it has been charged for; what the nodes say is added
    """

    def __init__(
        self,
        run_id: str,
        fleet: Fleet,
        log: Log,
        history: History,
        replica: Replica,
        devices: Sequence[Device],
        air: Air,
        may_miss: int,
        charged: dict[str, Slots],
    ) -> None:
        self.devices = len(fleet.names)
        self.probe = replica.probe
        self.transmitted = np.zeros(self.devices, bool)
        self._run_id, self._fleet, self._log, self._history = run_id, fleet, log, history
        self._replica, self._members, self._air = replica, devices, air
        self._may_miss, self._charged = may_miss, charged
        self._order: RoundOrder | None = None
        self._opened = np.zeros(self.devices, bool)
        self._spent: set[int] = set()

    def open(self, order: RoundOrder, willing: NDArray[np.bool_] | None = None) -> None:
        self._order = order
        self._fleet.gather(0.0)
        self._opened = self._fleet.measure(Open(order.slot, len(self._log), order.seed, order.perturbations, order.mu))
        self._all_of(np.ones(self.devices, bool), self._opened)

    def collect(self, plan: AirPlan, noise_std: float = 0.0) -> Received:
        order = self._order
        assert order is not None, "collect before open"
        announced = plan.active & self._opened
        if self._members:
            charge(self._members, self._run_id, order, announced)
        armed = self._arm(order, plan, announced, noise_std)
        self._all_of(announced, armed)
        if announced.any() and not armed.any() and len(self._spent) == self.devices:
            raise BudgetError("no node has privacy budget for a further round; the rounds so far stand")
        if armed.sum() < announced.sum() - self._may_miss:
            return self._erased(
                f"{armed.sum()} of {announced.sum()} nodes were ready, fewer than the threat model allows"
            )
        payloads, sent, uncertain = self._fire(order, armed)
        self._all_of(armed, sent)
        if uncertain:
            return self._erased(f"whether {', '.join(uncertain)} transmitted is not known")
        self.transmitted = sent
        heard = replace(plan, active=sent)
        if payloads is not None:
            return self._air.aggregate(order.slot, payloads, heard)
        return self._air.aggregate_sent(order.slot, order.perturbations, heard, self._fleet.names)  # type: ignore[attr-defined]

    def _arm(
        self, order: RoundOrder, plan: AirPlan, announced: NDArray[np.bool_], noise_std: float
    ) -> NDArray[np.bool_]:
        armed, together = np.zeros(self.devices, bool), max(1, int(announced.sum()))
        proposals = {}
        for k in map(int, np.flatnonzero(announced)):
            precoder = complex(plan.precoders[k])
            loudness = (precoder.real, precoder.imag), float(plan.payload_peak)
            proposals[k] = [Propose(order.slot, together, float(noise_std), *loudness)]
        for k, words in self._fleet.ask(ARM, proposals).items():
            for word in words:
                if isinstance(word, Armed) and word.slot == order.slot:
                    armed[k] = True
                    slots = self._charged.setdefault(self._fleet.names[k], Slots())
                    if order.slot not in slots:  # one that is repeated, with reproducible noise, counts once
                        slots.add(order.slot)
                elif isinstance(word, Declined) and word.reason == "budget":
                    self._spent.add(k)
        return armed

    def _fire(
        self, order: RoundOrder, armed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_], list[str]]:
        """Payloads (K, P), None where the nodes have transmitters; who has sent (K,); of whom that is not known."""
        receiver = hasattr(self._air, "aggregate_sent")
        payloads, sent = np.zeros((self.devices, order.perturbations)), np.zeros(self.devices, bool)
        uncertain = []
        go = [Transmit(order.slot, WINDOW_S)]
        answers = self._fleet.ask(FIRE, {int(k): go for k in np.flatnonzero(armed)})
        for k, words in answers.items():
            for word in words:
                if isinstance(word, Sent) != receiver and isinstance(word, (Sent, Payload)):
                    ends = ("a transmitter", "simulated air") if not receiver else ("no transmitter", "a receiver")
                    raise InputError(f"{self._fleet.names[k]} has {ends[0]}, and this end {ends[1]}; set both up alike")
                if isinstance(word, Payload) and word.slot == order.slot and len(word.values) == order.perturbations:
                    payloads[k], sent[k] = word.values, True
                elif isinstance(word, Sent) and word.slot == order.slot:
                    sent[k] = word.certain
        if receiver:  # a payload that has not come over Flower is nowhere; what was radiated may be anywhere
            uncertain = [self._fleet.names[k] for k in np.flatnonzero(armed & ~sent)]
        return None if receiver else payloads, sent, uncertain

    def commit(self, update: RoundUpdate) -> None:
        assert self._order is not None, "commit before open"
        entry = self._history.updates[-1]  # equal to `update`, and the one that later entries carry on
        self._log.add(self._order.slot, entry, committed=entry is self._history.last)
        self._replica.replay([entry])
        self._order = None

    def truth(self) -> Truth | None:
        return None  # nobody but the nodes knows it

    def check(self) -> None:
        ours = self._replica.digest()
        for k, theirs in sorted(self._fleet.digests().items()):
            if theirs != ours:
                raise InputError(
                    f"{self._fleet.names[k]} has other weights than the server after {len(self._log)} slots ({theirs[:16]}, not "
                    f"{ours[:16]}). The journal is right: compare the versions installed there, and resume the run"
                )

    def _all_of(self, wanted: NDArray[np.bool_], done: NDArray[np.bool_]) -> None:
        """Partitions of the server's data are a simulation, in which nobody may be missing."""
        missing = np.flatnonzero(wanted & ~done)
        if self._members and missing.size:
            raise CrewLost(
                f"{missing.size} of {wanted.sum()} nodes did not answer, {self._members[missing[0]].name} the first. Nothing "
                "committed is lost: resume the run"
            )

    def _erased(self, reason: str) -> Received:
        order = self._order
        assert order is not None
        nothing = np.full(order.perturbations, math.nan)
        silent = np.full(self.devices, -math.inf)
        return Received(nothing, nothing, nothing, True, reason, np.zeros(self.devices, np.int64), silent)
