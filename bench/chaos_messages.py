"""Frames that should not be, at a server and at a device in the middle of a round: damaged, stale, of strangers, repeated,
reordered, out of turn."""

from __future__ import annotations

from dataclasses import dataclass

from fl.lab import device_state, server_state
from fl.lab import messages as m
from radio.streams import stream

DIGEST = "ab" * 32
FACTS = m.Facts(DIGEST, DIGEST, DIGEST, "fp32", DIGEST)
NOW = 1.0
PEERS = (b"one", b"two", b"three")


@dataclass(frozen=True)
class Outcome:
    """nonsense: frames refused as such; sense: well-formed ones; uncaught: other errors; moved: changes of the state."""

    nonsense: int
    sense: int
    uncaught: int
    moved: int


def in_a_round() -> server_state.State:
    """Three devices that have three rounds and were just asked to measure slot 3."""
    state = server_state.State(m.Welcome("0123456789abcdef", "{}", 0, 40001, 2), FACTS, "0", ("",) * 3)
    events: list[server_state.Event] = []
    for k, peer in enumerate(PEERS):
        for message in (m.Hello(m.PROTOCOL, "0", ""), m.Ready(FACTS, 0, -1)):
            events.append(server_state.Heard(peer, f"device-{k}", message))
    events += [server_state.Close(m.Round(slot, slot, slot, 0.01, 1, "central", True)) for slot in range(3)]
    order = m.Open(3, 3, 3, 1, 0.01)
    events.append(server_state.Ask("open", 3, {f"device-{k}": order for k in range(3)}))
    for event in events:
        state, _ = server_state.step(state, event, NOW)
    assert len(state.taking) == 0 and state.phase is not None and len(state.phase.waiting) == 3 and state.length == 3
    return state


def fuzz_server(count: int, seed: int) -> Outcome:
    """`count` frames, none of which may change who is in the round, the log, or who is a member."""
    before = in_a_round()
    stale = (
        m.Opened(2), m.Armed(2), m.Sent(2), m.Declined(4, "budget"), m.Armed(3), m.Sent(3), m.Digest(10**6, DIGEST), m.Ping(),
    )  # fmt: skip
    strange = (
        m.Ready(FACTS, 3, -1),
        m.Ready(FACTS, 10**9, 5),
        m.Opened(3),
        m.Declined(3, "budget"),
        m.Digest(3, DIGEST),
    )
    frames = [m.encode(message) for message in (*stale, *strange)]
    draw = stream(seed, "fuzz")
    nonsense = sense = uncaught = moved = 0
    for index in range(count):
        which = int(draw.integers(len(frames)))
        frame = frames[which]
        if damaged := index % 3 == 0:
            at, length = int(draw.integers(len(frame))), int(draw.integers(1, 9))
            frame = frame[:at] + draw.bytes(length) + frame[at + 1 :]
        # what a device could rightly say comes from a connection that is not its own
        whose = int(draw.integers(len(PEERS)))
        peer = b"stranger" if damaged or which >= len(stale) else PEERS[whose]
        try:
            message = m.from_device(frame)
            sense += 1
            after, actions = server_state.step(before, server_state.Heard(peer, f"device-{whose}", message), NOW)
            moved += after != before or not all(
                isinstance(a, server_state.Send) and isinstance(a.message, m.Rejoin | m.Pong | m.Refused)
                for a in actions
            )
        except m.MessageError:
            nonsense += 1
        except Exception:
            uncaught += 1
    return Outcome(nonsense, sense, uncaught, moved)


def entry(position: int) -> m.Round:
    return m.Round(position, position, position, 0.01, 1, "central", True)


PROPOSE = m.Propose(3, 1, 0.0, (1.0, 0.0), 1.0)
OPEN, TRANSMIT = m.Open(3, 3, 3, 1, 0.01), m.Transmit(3, 1.0)


def a_device_in_slot_3() -> list[tuple[device_state.State, tuple[m.FromServer, ...]]]:
    """A device that has three rounds, as it goes through the next: with what it is not waiting for there."""
    state = device_state.State("0")
    welcome = m.Welcome("0123456789abcdef", "{}", 0, 40001, 2)
    states = []
    events: tuple[device_state.Event, ...] = (
        device_state.Tick(),
        device_state.Heard(welcome),
        device_state.Built(FACTS, 2),
        device_state.Heard(m.Suffix(3, tuple(map(entry, range(3))))),
        device_state.Heard(OPEN),
        device_state.Measured(3),
        device_state.Heard(PROPOSE),
        device_state.Released(3),
    )
    for event in events:
        state, _ = device_state.step(state, event, NOW)
        states.append(state)
    ready, opened, measured, releasing, armed = states[3:]
    never = (
        welcome,
        m.Refused("no"),
        m.Refused("not yet", final=False),
        m.Pong(3),
        m.Pong(0),
        m.Commit(entry(2)),
        m.Commit(entry(0)),
        m.Suffix(3, (entry(1), entry(2))),
        m.Suffix(3, (entry(0), entry(2))),
        m.Open(4, 2, 4, 1, 0.01),
        m.Propose(2, 1, 0.0, (1.0, 0.0), 1.0),
        m.Propose(4, 1, 0.0, (1.0, 0.0), 1.0),
        m.Transmit(2, 1.0),
        m.Transmit(4, 1.0),
        m.Compare((1, 10**6)),
    )
    early = m.Open(2, 3, 2, 1, 0.01)  # who is in no slot yet may be asked this, and declines to be charged twice
    return [
        (ready, (*never, PROPOSE, TRANSMIT)),
        (opened, (*never, early, OPEN, PROPOSE, TRANSMIT)),
        (measured, (*never, early, OPEN, TRANSMIT)),
        (releasing, (*never, early, OPEN, PROPOSE, TRANSMIT)),
        (armed, (*never, early, OPEN, PROPOSE)),
    ]


def fuzz_device(count: int, seed: int) -> Outcome:
    """`count` frames from the server's address: none that is out of place may change the device.  A damaged one that is sense
    by accident may, but not have anything charged or transmitted that it was not in the middle of."""
    places = [(state, [m.encode(message) for message in messages]) for state, messages in a_device_in_slot_3()]
    draw = stream(seed, "fuzz of a device")
    nonsense = sense = uncaught = moved = 0
    for index in range(count):
        before, frames = places[index % len(places)]
        frame = frames[int(draw.integers(len(frames)))]
        if damaged := int(draw.integers(3)) == 0:
            at, length = int(draw.integers(len(frame))), int(draw.integers(1, 9))
            frame = frame[:at] + draw.bytes(length) + frame[at + 1 :]
        try:
            message = m.from_server(frame)
            sense += 1
            after, actions = device_state.step(before, device_state.Heard(message), NOW)
        except m.MessageError:
            nonsense += 1
        except Exception:
            uncaught += 1
        else:
            if not damaged:
                moved += after != before or actions != ()
                continue
            rightly = {"measured": device_state.Release, "armed": device_state.Emit}.get(before.progress)
            wrong = [a for a in actions if isinstance(a, device_state.Release | device_state.Emit)]
            moved += any(rightly is None or not isinstance(a, rightly) for a in wrong)
    return Outcome(nonsense, sense, uncaught, moved)
