"""A device's side of the protocol, without sockets and clocks: `step(state, event, now) -> (state, actions)`.

    greeting   Hello said, every second, until a Welcome comes
    building   the experiment is being checked and built, or the air found again
    joining    Ready said: the log's missing end is on its way
    ready      follows the log; in a slot: Open, measured, Propose, charged, Transmit
    over       nothing more to do

Join, reconnect, restart and late start are this one path.  A slot is charged at most once and transmitted at most once per
charge, whatever is repeated, delayed or reordered; messages of other slots change nothing.

With a radio (`State.radio`) nothing is sent but at cues:

    hold, start, pilot, together   public; from Opened until Propose
    payload, reference             from Transmit on, in rising order, so each at most once, while the window lasts
    rest, mute                     silence, at any time

What a cue has begun ends with the next one, or else by itself: when `LOUD_S` have gone by, when the window ends, when the
connection does, and before anything is done that takes long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fl.lab.messages import (
    PROTOCOL,
    Armed,
    Commit,
    Compare,
    Cue,
    Cued,
    Declined,
    Facts,
    FromDevice,
    FromServer,
    Hello,
    Open,
    Opened,
    Ping,
    Pong,
    Propose,
    Ready,
    Reason,
    Refused,
    Rejoin,
    Round,
    Sent,
    Status,
    Stop,
    Suffix,
    Transmit,
    Tuned,
    Welcome,
)

HEARTBEAT_S = 1.0
JOINING_S = 5.0  # without an answer, after which a device begins again
LOUD_S = 15.0  # after a cue, without another: the server is slower than that only when something is wrong
STATUS_S = 10.0  # between two looks at the radio

Stage = Literal["greeting", "building", "joining", "ready", "over"]
Progress = Literal["opened", "measured", "releasing", "armed", "window"]
SOUNDING = ("hold", "start", "pilot", "together")
SILENCE = ("rest", "mute")


@dataclass(frozen=True)
class State:
    """
    position  entries of the log that the weights have seen
    order     the open slot, if any; `progress` says how far it has come
    slot      the last one that was opened on this connection; none is opened twice
    charged   the last one of this run in the ledger, -1 for none or where slots may be repeated
    radio     how the device's own is set; None on the simulated air
    cue       number of the last cue taken in this slot
    sent      (scalar, codeword) of the last payload's cue in this slot
    until     when what is on the air ends by itself, None for nothing; closes: when the window does
    """

    version: str
    serial: str = ""
    stage: Stage = "greeting"
    run_id: str | None = None
    facts: Facts | None = None
    digest_every: int = 1
    position: int = 0
    order: Open | None = None
    progress: Progress = "opened"
    slot: int = -1
    charged: int = -1
    spoke: float = float("-inf")
    since: float = 0.0  # the stage began
    radio: Tuned | None = None
    cue: int = 0
    sent: tuple[int, int] = (-1, -1)
    until: float | None = None
    closes: float = 0.0
    looked: float = float("-inf")  # at the radio

    @property
    def due(self) -> Open | None:
        """What is to be measured, once everything received has been seen: what is late by then is not measured at all."""
        return self.order if self.progress == "opened" else None


@dataclass(frozen=True)
class Heard:
    message: FromServer


@dataclass(frozen=True)
class Tick:
    pass


@dataclass(frozen=True)
class Built:
    """What `Build` asked for."""

    facts: Facts
    charged: int


@dataclass(frozen=True)
class Measured:
    slot: int


@dataclass(frozen=True)
class Released:
    """Charged and drawn; or why not."""

    slot: int
    declined: Literal["budget", "terms", "air"] | None = None


@dataclass(frozen=True)
class Transmitted:
    slot: int
    certain: bool = True


@dataclass(frozen=True)
class Performed:
    """What `Perform` asked for."""

    cue: Cue
    done: bool = True
    started: bool = False


@dataclass(frozen=True)
class Looked:
    temperature_c: float | None


Event = Heard | Tick | Built | Measured | Released | Transmitted | Performed | Looked


@dataclass(frozen=True)
class Say:
    message: FromDevice


@dataclass(frozen=True)
class Build:
    """Check and build the experiment; one that is built already only has its air found again."""

    welcome: Welcome


@dataclass(frozen=True)
class Release:
    """Charge the slot, then draw its noise."""

    propose: Propose


@dataclass(frozen=True)
class Emit:
    transmit: Transmit


@dataclass(frozen=True)
class Perform:
    """Send, or be silent, as the cue says."""

    cue: Cue


@dataclass(frozen=True)
class Look:
    """How warm is the radio?"""


@dataclass(frozen=True)
class Apply:
    """The next entries of the log."""

    entries: tuple[Round, ...]


@dataclass(frozen=True)
class Report:
    """Tell the server the digest of the weights."""

    position: int


@dataclass(frozen=True)
class Recompute:
    """Tell the server digests of weights that are made anew from the log."""

    places: tuple[int, ...]


@dataclass(frozen=True)
class Mute:
    """Whatever is being sent ends, and what was about to be sent is not."""


@dataclass(frozen=True)
class Leave:
    """stop: the server's word; refused: why it does not want this device."""

    stop: Reason | None = None
    refused: str = ""


Action = Say | Build | Release | Emit | Perform | Look | Apply | Report | Recompute | Mute | Leave
Step = tuple[State, tuple[Action, ...]]


def step(state: State, event: Event, now: float) -> Step:
    if state.stage == "over":
        return state, ()
    before = state
    state, actions = _step(state, event, now)
    if state.until is not None and (
        now >= state.until
        or state.order is not before.order
        or any(isinstance(a, Build | Release | Apply | Report | Leave) for a in actions)
    ):
        # what was to come of it cannot be what it should: the slot is over here
        ended = state if state.order is not before.order else _idle(state)
        return replace(ended, until=None), (Mute(), *actions)
    return state, actions


def _step(state: State, event: Event, now: float) -> Step:
    match event:
        case Heard(message):
            return _heard(state, message, now)
        case Tick():
            return _tick(state, now)
        case Built(facts, charged):
            if state.stage != "building":
                return state, ()
            return _ready(replace(state, facts=facts, charged=charged), now)
        case Measured(slot):
            if not _at(state, "opened", slot):
                return state, ()
            return replace(state, progress="measured"), (Say(Opened(slot)),)
        case Released(slot, declined):
            if not _at(state, "releasing", slot):
                return state, ()
            if declined:
                return _idle(state), (Say(Declined(slot, declined)),)
            return replace(state, progress="armed"), (Say(Armed(slot)),)
        case Transmitted(slot, certain):
            return state, (Say(Sent(slot, certain)),)
        case Performed(cue, done, started):
            return state, (Say(Cued(cue.slot, cue.number, done, started)),)
        case Looked(temperature_c):
            return state, (Say(Status(temperature_c)),)


def _heard(state: State, message: FromServer, now: float) -> Step:
    match message:
        case Rejoin() if state.stage in ("joining", "ready"):
            return _greet(state, now)
        case Refused(reason, final):
            if final and state.stage in ("greeting", "joining"):
                return replace(state, stage="over"), (Mute(), Leave(refused=reason))
            return state, ()
        case Welcome() if state.stage == "greeting":
            if state.run_id not in (None, message.run_id):
                reason = f"the server carries out another run now ({message.run_id}, not {state.run_id})"
                return replace(state, stage="over"), (Mute(), Leave(refused=f"{reason}; start the device again"))
            state = replace(state, stage="building", run_id=message.run_id, digest_every=message.digest_every)
            return state, (Build(message),)
        case Stop(reason) if state.stage in ("joining", "ready"):
            if reason == "interrupted":  # it can be resumed: wait for it
                return _greet(state, now)
            return replace(_idle(state), stage="over"), (Mute(), Report(state.position), Leave(stop=reason))
        case Suffix(length, rounds) if state.stage in ("joining", "ready"):
            return _suffix(state, length, rounds, now)
        case _ if state.stage == "ready":
            return _in_round(state, message, now)
    return state, ()


def _in_round(state: State, message: FromServer, now: float) -> Step:
    match message:
        case Open(slot, position):
            if position > state.position:
                return _ready(state, now)
            if position < state.position or slot <= state.slot:
                return state, ()
            return replace(_idle(state), order=message, slot=slot, cue=0, sent=(-1, -1)), ()
        case Propose(slot) if _at(state, "measured", slot):
            if slot <= state.charged:
                return _idle(state), (Say(Declined(slot, "charged")),)
            return replace(state, progress="releasing", charged=slot), (Release(message),)
        case Transmit(slot, window_s) if _at(state, "armed", slot):
            if state.radio is None:
                return _idle(state), (Emit(message),)
            return replace(state, progress="window", closes=now + window_s), (Say(Cued(slot, 0)),)
        case Cue() if state.radio is not None:
            return _cued(state, message, now)
        case Commit(entry):
            if entry.position > state.position:
                return _ready(state, now)
            return _commit(state, entry)
        case Compare(places) if places[-1] <= state.position:
            return state, (Recompute(places),)
        case Pong(length) if length > state.position:
            return _ready(state, now)
    return state, ()


def _cued(state: State, cue: Cue, now: float) -> Step:
    if cue.slot != state.slot or cue.number <= state.cue:
        return state, ()
    here = state.order is not None
    if cue.kind in SILENCE:
        # silent by itself already: whoever listened has heard only a part
        state = replace(state, cue=cue.number, until=None)
        return state, (Perform(cue),) if here else (Mute(), Say(Cued(cue.slot, cue.number, done=False)))
    if cue.kind in SOUNDING:
        if not _at(state, "measured", cue.slot):
            return state, ()
        until = state.until if cue.kind in ("hold", "start") else now + LOUD_S
        return replace(state, cue=cue.number, until=until), (Perform(cue),)
    place = (cue.scalar, cue.codeword)
    if not _at(state, "window", cue.slot) or now >= state.closes or place <= state.sent:
        return state, ()
    until = min(now + LOUD_S, state.closes)
    return replace(state, cue=cue.number, sent=place, until=until), (Perform(cue),)


def _suffix(state: State, length: int, rounds: tuple[Round, ...], now: float) -> Step:
    new = tuple(entry for entry in rounds if entry.position >= state.position)
    if [entry.position for entry in new] != list(range(state.position, state.position + len(new))):
        return state, ()
    applied = (Apply(new),) if new else ()
    state = replace(_idle(state) if new else state, position=state.position + len(new))
    if state.stage == "joining" and state.position < length and new:
        state, more = _ready(state, now)
        return state, (*applied, *more)
    return replace(state, stage="ready" if state.position >= length else state.stage), applied


def _commit(state: State, entry: Round) -> Step:
    if entry.position != state.position:
        return state, ()
    state = replace(_idle(state), position=state.position + 1)
    actions: tuple[Action, ...] = (Apply((entry,)),)
    if state.position % state.digest_every == 0:
        actions += (Report(state.position),)
    return state, actions


def _tick(state: State, now: float) -> Step:
    if state.stage == "joining" and now - state.since > JOINING_S:
        return _greet(state, now)
    if now - state.spoke < HEARTBEAT_S or state.stage == "building":
        return state, ()
    if state.stage == "greeting":
        return _greet(state, now)
    look: tuple[Action, ...] = ()
    if (
        state.radio is not None
        and state.until is None
        and state.progress != "window"
        and now - state.looked >= STATUS_S
    ):
        state, look = replace(state, looked=now), (Look(),)
    return replace(state, spoke=now), (Say(Ping()), *look)


def _greet(state: State, now: float) -> Step:
    # a tone that is held at nothing still leaks a little
    muted = (Mute(),) if state.order is not None or (state.radio is not None and state.stage == "ready") else ()
    state = replace(_idle(state), stage="greeting", slot=-1, spoke=now, since=now, until=None)
    return state, (*muted, Say(Hello(PROTOCOL, state.version, state.serial)))


def _ready(state: State, now: float) -> Step:
    assert state.facts is not None
    word = Ready(state.facts, state.position, state.charged, state.radio)
    return replace(_idle(state), stage="joining", slot=-1, spoke=now, since=now), (Say(word),)


def _idle(state: State) -> State:
    return replace(state, order=None, progress="opened")


def _at(state: State, progress: Progress, slot: int) -> bool:
    return state.order is not None and state.order.slot == slot and state.progress == progress
