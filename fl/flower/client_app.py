"""The ClientApp of pAirZero's nodes: greet, measure, arm, fire, digest.

`measure` draws the secret batch and keeps its projections in the node's own state; `arm` checks, charges the owner's ledger
and draws the noise; `fire` hands out what was armed, once: to the simulated air, or to the node's own transmitter.

A node's settings (`flower-supernode --node-config`): `name`, `threads`, and the owner's terms, which are those of `pairzero
device`: `data`, `public`, `ledger`, `epsilon`, `delta`, `noise`, `clip`, `threat`, `model`, `root`.  `transmitter =
"module:callable"` names what makes an `fl.lab.air_service.Transmitter` of the settings.
"""

from __future__ import annotations

import importlib
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp import ClientApp

from fl.flower.host import Host
from fl.flower.wire import Greet, Greeted, Has, Place, Refusal, Word, encode, pack, unpack
from fl.lab.air_service import Transmitter
from fl.lab.messages import Armed, Declined, Digest, Open, Opened, Payload, Propose, Sent, Suffix, Transmit
from fl.lab.owner import Terms
from radio.errors import BudgetError, InputError, PairzeroError

STATE = "pairzero"  # a record of the node's state, which never leaves it
_LIMITS = ("data", "public", "ledger", "epsilon", "delta", "noise", "clip", "threat", "model", "root")
_hosts: dict[tuple[str, Terms | None], Host] = {}  # of this process; all partitions of a simulation share one

T = TypeVar("T")

app = ClientApp()


def terms_of(settings: Any) -> Terms | None:
    """The owner's terms among a node's settings; None where there are none."""
    said = {key: settings[key] for key in _LIMITS if key in settings}
    for key in ("data", "ledger"):
        if key in said:
            said[key] = Path(str(said[key])).expanduser()
    return Terms(**said) if said else None


def _state(context: Context) -> dict[str, Any]:
    record = context.state.get(STATE)
    return dict(record) if record is not None else {}


def _keep(context: Context, state: dict[str, Any]) -> None:
    context.state[STATE] = ConfigRecord(state)


def _name(context: Context) -> str:
    settings = context.node_config
    partition = settings.get("partition-id")
    return str(settings.get("name", f"node-{context.node_id}" if partition is None else f"device-{partition}"))


def _host_of(context: Context, state: dict[str, Any]) -> Host:
    """This process's host of the run, made anew where it has none."""
    run_id, terms = state["run_id"], (terms_of(context.node_config) or Terms()) if state["at_nodes"] else None
    if (run_id, terms) not in _hosts:
        for other in [key for key in _hosts if key[0] != run_id]:
            del _hosts[other]  # a run that is over, before the next replica is built
        _hosts[run_id, terms] = Host(state["experiment"], run_id, terms, int(context.node_config.get("threads", 1)))
    return _hosts[run_id, terms]


def _answer(message: Message, *words: Word) -> Message:
    return Message(pack(words), reply_to=message)


def _of(kind: type[T], words: list[Word]) -> T:
    return next(word for word in words if isinstance(word, kind))


def _placed(message: Message, context: Context) -> tuple[list[Word], Place, dict[str, Any]] | None:
    """Words, place and state of a message about a run that this node was greeted for, else None."""
    words, state = unpack(message.content), _state(context)
    place = _of(Place, words)
    return (words, place, state) if state.get("run_id") == place.run_id else None


@app.query("greet")
def greet(message: Message, context: Context) -> Message:
    """Check the experiment against the owner's terms, and build it."""
    told = _of(Greet, unpack(message.content))
    state: dict[str, Any] = {"run_id": told.run_id, "experiment": told.experiment, "at_nodes": told.at_nodes}
    partition = int(context.node_config.get("partition-id", -1))
    try:
        if not told.at_nodes and (terms_of(context.node_config) is not None or partition < 0):
            raise InputError(
                "the server would charge its own ledger, for partitions of its own data; this node has its owner's terms, or no "
                "partition-id. Start the app with --run-config 'ledgers=\"nodes\"'"
            )
        if told.at_nodes and partition < 0 and "data" not in context.node_config:
            raise InputError("this node has neither data of its own (data) nor a share of a public task (partition-id)")
        host, charged = _host_of(context, state), -1
        if partition >= (devices := host.experiment.learning.devices):
            raise InputError(f"its partition-id is {partition}; allowed: 0 to {devices - 1}, for learning.devices")
        ledger = host.ledger(partition, _name(context))
        if ledger is not None:
            with ledger:
                charged = ledger.last_slot(told.run_id) if ledger.enforce else -1
    except PairzeroError as refused:
        return _answer(message, Refusal(str(refused)[:4000]))
    _keep(context, state)
    return _answer(message, Greeted(host.facts, _name(context), partition, charged))


@app.query("measure")
def measure(message: Message, context: Context) -> Message:
    """Catch up with the log, draw the slot's batch and keep its projections; says what of the log was here before."""
    placed = _placed(message, context)
    if placed is None:
        return _answer(message, Has(-1))
    words, place, state = placed
    host, order = _host_of(context, state), _of(Open, words)
    had = host.had
    caught_up = all(host.follow(suffix.rounds) for suffix in words if isinstance(suffix, Suffix))
    if not caught_up or host.had != order.position:
        return _answer(message, Has(had))
    device = host.device(place.index, _name(context))
    pace = host.pace_s(device, place.index)
    began = time.monotonic()
    projections = host.measure(device, order)
    if pace:
        spent = time.monotonic() - began
        time.sleep(pace * math.ceil(spent / pace) - spent)  # how long it took depends on the batch
    state |= {"slot": order.slot, "projections": projections.tobytes(), "perturbations": order.perturbations}
    state.pop("armed", None)
    _keep(context, state)
    return _answer(message, Opened(order.slot), Has(had))


@app.train("arm")
def arm(message: Message, context: Context) -> Message:
    """Charge what the owner keeps a ledger of, then draw the noise.  What was measured is used up."""
    placed = _placed(message, context)
    if placed is None:
        return _answer(message, Has(-1))
    words, place, state = placed
    propose = _of(Propose, words)
    host = _host_of(context, state)
    projections = state.pop("projections", None)
    if projections is None or state.get("slot") != propose.slot or propose.active > host.experiment.learning.devices:
        return _answer(message, Declined(propose.slot, "terms"))
    rows = np.frombuffer(projections).reshape(-1, state["perturbations"])  # of an empty batch none
    device = host.device(place.index, _name(context))
    try:
        ledger = host.ledger(place.index, _name(context))
        if ledger is None:
            values = device.payload(propose.slot, rows, propose.active, propose.noise_std)
        else:
            with ledger:
                if ledger.enforce and propose.slot in ledger.slots(place.run_id):
                    return _answer(message, Declined(propose.slot, "charged"))
                charging = replace(device, ledger=ledger)
                values = charging.release(place.run_id, propose.slot, rows, propose.active, propose.noise_std)
    except BudgetError:
        return _answer(message, Declined(propose.slot, "budget"))
    except InputError:
        return _answer(message, Declined(propose.slot, "terms"))
    state |= {"armed": values.tobytes(), "propose": encode(propose)}
    _keep(context, state)
    return _answer(message, Armed(propose.slot))


@app.train("fire")
def fire(message: Message, context: Context) -> Message:
    """What was armed for this slot, once: as a payload for the simulated air, or through the node's own transmitter."""
    placed = _placed(message, context)
    if placed is None:
        return _answer(message, Has(-1))
    words, _, state = placed
    order = _of(Transmit, words)
    armed = state.pop("armed", None)
    _keep(context, state)
    if armed is None or state.get("slot") != order.slot:
        return _answer(message, Declined(order.slot, "terms"))
    values = np.frombuffer(armed)
    transmitter = _transmitter(context)
    if transmitter is None:
        return _answer(message, Payload(order.slot, tuple(values.tolist())))
    propose = msgspec.msgpack.decode(state["propose"], type=Propose)
    try:
        certain = transmitter.transmit(order.slot, values, propose, order.window_s)
    except PairzeroError:
        certain = False
    finally:
        transmitter.close()
    return _answer(message, Sent(order.slot, certain))


def _transmitter(context: Context) -> Transmitter | None:
    named = context.node_config.get("transmitter")
    if named is None:
        return None
    module, _, maker = str(named).partition(":")
    made: Transmitter = getattr(importlib.import_module(module), maker)(dict(context.node_config))
    return made


@app.query("digest")
def digest(message: Message, context: Context) -> Message:
    """Of the weights after the whole log."""
    placed = _placed(message, context)
    if placed is None:
        return _answer(message, Has(-1))
    words, _, state = placed
    host = _host_of(context, state)
    had = host.had
    suffixes = [word for word in words if isinstance(word, Suffix)]
    if not all(host.follow(suffix.rounds) for suffix in suffixes) or host.had != suffixes[-1].length:
        return _answer(message, Has(had))
    return _answer(message, Digest(host.had, host.digest()), Has(had))
