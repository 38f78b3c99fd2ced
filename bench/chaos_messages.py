"""Frames that should not be, at a server in the middle of a round: damaged, stale, of strangers, repeated, out of turn."""

from __future__ import annotations

from dataclasses import dataclass

from fl.lab import messages as m
from fl.lab import server_state
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


def fuzz(count: int, seed: int) -> Outcome:
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
