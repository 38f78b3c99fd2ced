"""The server's side of the protocol, without sockets and clocks: `step(state, event, now) -> (state, actions)`.

A round has three phases.  In each the server asks some devices and waits until all have answered, are lost, or are late:

    open    Open     -> Opened             who can take part
    arming  Propose  -> Armed | Declined   who has charged and is about to
    air     Transmit -> Sent               who has

Over radios the third is a window of many cues, and cues for pilots come before the second:

    cue     Cue      -> Cued               who has done it
    window  Transmit -> Cued               whose window is open

`taking` holds who is still in it; whoever reconnects has lost its place in the round.  What is stale, foreign, repeated or
out of turn changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from fl.lab.messages import (
    CHUNK,
    PROTOCOL,
    Armed,
    Commit,
    Compared,
    Cued,
    Declined,
    Digest,
    Facts,
    FromDevice,
    FromServer,
    Hello,
    Opened,
    Ping,
    Pong,
    Ready,
    Reason,
    Refused,
    Rejoin,
    Round,
    Sent,
    Status,
    Stop,
    Tuned,
    Welcome,
)
from radio.reference import reference_misfit

HEARTBEAT_S = 1.0
HEARD_S = 0.25  # how exactly it is remembered when a device was heard
SILENT_S = 3.0  # after which a connection may be taken over by another with the same key
PATIENCE_S = {"open": 600.0, "arming": 60.0, "air": 15.0, "cue": 10.0, "window": 10.0}  # for a first answer
GRACE_S = 5.0  # for the rest, once half have answered; or three times as long as those took

Kind = Literal["open", "arming", "air", "cue", "window"]
_ANSWERS: dict[Kind, tuple[type, ...]] = {
    "open": (Opened,),
    "arming": (Armed, Declined),
    "air": (Sent,),
    "cue": (Cued,),
    "window": (Cued,),
}


@dataclass(frozen=True)
class Member:
    """A device that was welcomed.

    peer    its connection; None while it is lost
    joined  it has the whole log and gets what is added
    late    it has missed a deadline and said nothing since: not asked again until it speaks
    spent   its budget is
    serial, temperature_c  of its radio, as far as it has said
    """

    index: int
    peer: bytes | None
    heard: float
    joined: bool = False
    late: bool = False
    spent: bool = False
    serial: str = ""
    temperature_c: float | None = None


@dataclass(frozen=True)
class Phase:
    """number: of the cue that is to be answered; started: somebody's tone was."""

    kind: Kind
    slot: int
    waiting: frozenset[str]
    asked: int
    began: float
    deadline: float
    number: int = 0
    started: bool = False


@dataclass(frozen=True)
class State:
    """names: device of each place in the experiment, "" while it is free; charged: last slot in any device's ledger;
    radio: the receiver, None on the simulated air."""

    welcome: Welcome  # for place 0
    facts: Facts
    version: str
    names: tuple[str, ...]
    chunk: int = CHUNK  # entries that go into one Suffix
    length: int = 0
    members: Mapping[str, Member] = field(default_factory=dict)
    phase: Phase | None = None
    taking: frozenset[str] = frozenset()
    charged: int = -1
    ended: Reason | None = None
    beat: float = 0.0
    radio: Tuned | None = None

    @property
    def present(self) -> frozenset[str]:
        """Devices that a slot can be opened to."""
        return frozenset(n for n, m in self.members.items() if m.joined and not (m.late or m.spent))

    @property
    def standing(self) -> tuple[tuple[str, str], ...]:
        """Name and, in a word, state of the device of each place; two empty words for a place that is free."""
        return tuple((name, "" if not name else _word(self.members.get(name))) for name in self.names)

    @property
    def settled(self) -> bool:
        return self.phase is None or not self.phase.waiting


@dataclass(frozen=True)
class Heard:
    peer: bytes
    device: str  # the name of its key
    message: FromDevice


@dataclass(frozen=True)
class Gone:
    """Nothing can be sent to this connection any more."""

    peer: bytes


@dataclass(frozen=True)
class Tick:
    pass


@dataclass(frozen=True)
class Ask:
    """Begin a phase: a message to each device that is still in the round."""

    kind: Kind
    slot: int
    messages: Mapping[str, FromServer]
    number: int = 0


@dataclass(frozen=True)
class Close:
    """End the slot with an entry of the log."""

    entry: Round


@dataclass(frozen=True)
class End:
    reason: Reason


Event = Heard | Gone | Tick | Ask | Close | End


@dataclass(frozen=True)
class Send:
    peer: bytes
    message: FromServer


@dataclass(frozen=True)
class SendSuffix:
    """The next `State.chunk` entries after `had`; the device asks for more with another Ready."""

    peer: bytes
    had: int


@dataclass(frozen=True)
class Check:
    """Compare with the server's own digest."""

    device: str
    position: int
    digest: str


@dataclass(frozen=True)
class Answered:
    """What the server asked outside of rounds: `fl.lab.disagreement`."""

    device: str
    message: Compared


Action = Send | SendSuffix | Check | Answered
Step = tuple[State, tuple[Action, ...]]


def step(state: State, event: Event, now: float) -> Step:
    match event:
        case Heard(peer, device, message):
            return _heard(state, peer, device, message, now)
        case Gone(peer):
            return _gone(state, peer), ()
        case Tick():
            return _tick(state, now)
        case Ask():
            return _ask(state, event, now)
        case Close(entry):
            state = replace(state, length=entry.position + 1, phase=None, taking=frozenset())
            return state, _to_all(state, Commit(entry))
        case End(reason):
            # who is still joining gets the rest of the log first, if anybody is left to send it
            told = [m for m in state.members.values() if m.joined or reason in ("error", "interrupted")]
            stops = tuple(Send(m.peer, Stop(reason)) for m in told if m.peer is not None)
            return replace(state, phase=None, taking=frozenset(), ended=reason), stops


def place(names: tuple[str, ...], device: str) -> int | None:
    """The place of a device: its old one; the one that `device-K` names; the first free one; None if there is none."""
    if device in names:
        return names.index(device)
    free = [k for k, name in enumerate(names) if not name]
    named = [k for k in free if device == f"device-{k}"]
    return next(iter(named + free), None)


def _word(member: Member | None) -> str:
    if member is None or member.peer is None:
        return "lost"
    if not member.joined:
        return "joining"
    return "spent" if member.spent else "late" if member.late else "joined"


def _heard(state: State, peer: bytes, device: str, message: FromDevice, now: float) -> Step:
    if isinstance(message, Hello):
        return _hello(state, peer, device, message, now)
    member = state.members.get(device)
    if member is None or member.peer != peer:
        return state, (Send(peer, Rejoin()),)
    if member.late or now - member.heard > HEARD_S:
        state = _with(state, device, replace(member, heard=now, late=False))
    match message:
        case Ready():
            return _ready(state, device, message)
        case Ping():
            return state, (Send(peer, Pong(state.length)),)
        case Digest(position, digest) if member.joined and position <= state.length:
            return state, (Check(device, position, digest),)
        case Compared() if member.joined:
            return state, (Answered(device, message),)
        case Opened() | Armed() | Declined() | Sent() | Cued():
            return _answer(state, device, message, now), ()
        case Status(temperature_c):
            return _with(state, device, replace(state.members[device], temperature_c=temperature_c)), ()
    return state, ()


def _hello(state: State, peer: bytes, device: str, hello: Hello, now: float) -> Step:
    for what, theirs, ours in (("protocol", hello.protocol, PROTOCOL), ("version", hello.version, state.version)):
        if theirs != ours:
            return state, _refuse(
                peer, f"{device} has pairzero {what} {theirs}, the server {ours}; install the same on both"
            )
    index = place(state.names, device)
    if index is None:
        return state, _refuse(
            peer,
            f"the experiment has {len(state.names)} devices ({', '.join(state.names)}) and none of the places is free "
            f"for {device}; raise learning.devices in a new run",
        )
    old = state.members.get(device)
    if old is not None and old.peer not in (None, peer) and now - old.heard <= SILENT_S:
        # Where the other is dead, sending to it finds out, and the next Hello is welcome.
        assert old.peer is not None
        reason = f"a device with the key of {device} is connected already; stop one of the two"
        return state, (Send(old.peer, Pong(state.length)), Send(peer, Refused(reason, final=False)))
    names = (*state.names[:index], device, *state.names[index + 1 :])
    state = _with(replace(_out(state, device), names=names), device, Member(index, peer, now, serial=hello.serial))
    welcome = state.welcome
    message = Welcome(welcome.run_id, welcome.experiment, index, welcome.air_port, welcome.digest_every)
    return state, (Send(peer, message),)


def _ready(state: State, device: str, ready: Ready) -> Step:
    member = state.members[device]
    assert member.peer is not None
    for what in Facts.__struct_fields__:
        theirs, ours = getattr(ready.facts, what), getattr(state.facts, what)
        if theirs != ours:
            lost = _with(_out(state, device), device, replace(member, peer=None, joined=False))
            return lost, _refuse(member.peer, f"the {what} of {device} is {theirs}, the server's is {ours}")
    if misfit := _misfit(device, ready.radio, state.radio):
        lost = _with(_out(state, device), device, replace(member, peer=None, joined=False))
        return lost, _refuse(member.peer, misfit)
    if ready.had > state.length:
        lost = _with(_out(state, device), device, replace(member, peer=None, joined=False))
        return lost, _refuse(
            member.peer,
            f"{device} has {ready.had} rounds of this run, the server's journal {state.length}: the journal was cut or "
            "is a copy. Go on from the right run folder, or start the device again to follow this one",
        )
    joined = ready.had + state.chunk >= state.length
    state = _with(_out(state, device), device, replace(member, joined=joined))
    actions: list[Action] = [SendSuffix(member.peer, ready.had)]
    if joined and state.ended is not None:  # it came just before the end
        actions.append(Send(member.peer, Stop(state.ended)))
    return replace(state, charged=max(state.charged, ready.charged)), tuple(actions)


def _misfit(device: str, theirs: Tuned | None, ours: Tuned | None) -> str:
    """Why a device's radio does not suit the receiver, or ""."""
    if ours is None:
        return "" if theirs is None else "the server's air is simulated; start the device without --station"
    if theirs is None:
        return f"the server's air is a station's, and {device} has no radio; start the device with --station"
    for what in ("lo_hz", "rate_sps", "clock"):
        if getattr(theirs, what) != getattr(ours, what):
            return (
                f"the station file of {device} has {what} = {getattr(theirs, what)!r}, the server's "
                f"{getattr(ours, what)!r}; give both the same file"
            )
    if ours.clock == "free" or ours.reference_hz is None or theirs.reference_hz is None:
        return ""
    return reference_misfit([("the receiver", ours.reference_hz), (device, theirs.reference_hz)])


def _answer(state: State, device: str, message: Opened | Armed | Declined | Sent | Cued, now: float) -> State:
    phase = state.phase
    if phase is None or device not in phase.waiting or message.slot != phase.slot:
        return state
    if not isinstance(message, _ANSWERS[phase.kind]):
        return state
    if isinstance(message, Cued):
        if message.number != phase.number:
            return state
        phase = replace(phase, started=phase.started or message.started)
    waiting = phase.waiting - {device}
    deadline = phase.deadline
    if 2 * len(waiting) <= phase.asked:
        deadline = min(deadline, now + max(GRACE_S, 3.0 * (now - phase.began)))
    state = replace(state, phase=replace(phase, waiting=waiting, deadline=deadline))
    if isinstance(message, Declined):
        return _with(state, device, replace(state.members[device], spent=message.reason == "budget"))
    if (isinstance(message, Sent) and not message.certain) or (isinstance(message, Cued) and not message.done):
        return state
    return replace(state, taking=state.taking | {device})


def _gone(state: State, peer: bytes) -> State:
    for name, member in state.members.items():
        if member.peer == peer:
            return _with(_out(state, name), name, replace(member, peer=None, joined=False))
    return state


def _tick(state: State, now: float) -> Step:
    phase = state.phase
    if phase is not None and phase.waiting and now >= phase.deadline:
        for name in phase.waiting:
            state = _with(state, name, replace(state.members[name], late=True))
        state = replace(state, phase=replace(phase, waiting=frozenset()))
    if now - state.beat < HEARTBEAT_S:
        return state, ()
    # nobody need answer: that it can be sent is what is asked, also of who has not joined and may have left over its terms
    there = (member.peer for member in state.members.values() if member.peer is not None)
    return replace(state, beat=now), tuple(Send(peer, Pong(state.length)) for peer in there)


def _ask(state: State, ask: Ask, now: float) -> Step:
    able = state.present if ask.kind == "open" else state.taking
    asked = frozenset(ask.messages) & able
    phase = Phase(ask.kind, ask.slot, asked, len(asked), now, now + PATIENCE_S[ask.kind], ask.number)
    sends = tuple(Send(peer, ask.messages[name]) for name in sorted(asked) if (peer := state.members[name].peer))
    # a cue is for some; who has none stays in the round
    return replace(state, phase=phase, taking=state.taking - asked if ask.kind == "cue" else frozenset()), sends


def _with(state: State, device: str, member: Member) -> State:
    return replace(state, members={**state.members, device: member})


def _out(state: State, device: str) -> State:
    """Out of the round; but what is on the air is on the air."""
    phase = state.phase
    if phase is None:
        return replace(state, taking=state.taking - {device})
    taking = state.taking if phase.kind == "air" else state.taking - {device}
    return replace(state, taking=taking, phase=replace(phase, waiting=phase.waiting - {device}))


def _refuse(peer: bytes, reason: str) -> tuple[Action, ...]:
    return (Send(peer, Refused(reason)),)


def _to_all(state: State, message: FromServer) -> tuple[Action, ...]:
    members = state.members.values()
    return tuple(Send(m.peer, message) for m in members if m.joined and m.peer is not None)
