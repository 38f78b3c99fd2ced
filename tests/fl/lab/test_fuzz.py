"""Nonsense, and sense at the wrong time: no uncaught error, and no change of state that the protocol does not want."""

from __future__ import annotations

from fl.lab import messages as m
from fl.lab import server_state
from radio.streams import stream
from tests.fl.lab.simulated import DIGEST, FACTS, Lab

COUNT = 100_000  # bench/chaos.py has ten times as many


def fuzz(count: int, seed: int) -> tuple[int, int]:
    """Frames at a server in the middle of a round; how many were refused as nonsense, and how many made sense.

    Everything is from a connection that the server does not know, or damaged, or of another slot: none may change who is in
    the round, the log, or who is a member.
    """
    lab = Lab(3)
    lab.settle(3)
    lab.advance()  # slot 3 is open
    for device in lab.devices:  # all heard of just now, so that hearing again changes nothing
        lab.feed(server_state.Heard(device.peer, device.name, m.Ping()))
    before = lab.server
    peers = [b"stranger", *(device.peer for device in lab.devices)]
    stale = [
        m.Opened(2), m.Armed(2), m.Sent(2), m.Declined(4, "budget"), m.Armed(3), m.Sent(3), m.Digest(10**6, DIGEST), m.Ping(),
    ]  # fmt: skip
    strange = [
        m.Ready(FACTS, 3, -1),
        m.Ready(FACTS, 10**9, 5),
        m.Opened(3),
        m.Declined(3, "budget"),
        m.Digest(3, DIGEST),
    ]
    frames = [m.encode(message) for message in (*stale, *strange)]
    draw = stream(seed, "fuzz")
    nonsense = sense = 0
    for index in range(count):
        which = int(draw.integers(len(frames)))
        frame = frames[which]
        if damaged := index % 3 == 0:
            at = int(draw.integers(len(frame)))
            frame = (
                frame[:at] + bytes(draw.integers(256, size=int(draw.integers(1, 9)), dtype="uint8")) + frame[at + 1 :]
            )
        peer = peers[0] if damaged or which >= len(stale) else peers[int(draw.integers(len(peers)))]
        try:
            message = m.from_device(frame)
        except m.MessageError:
            nonsense += 1
            continue
        sense += 1
        lab.server, actions = server_state.step(lab.server, server_state.Heard(peer, "device-0", message), lab.now)
        assert all(
            isinstance(a, server_state.Send) and isinstance(a.message, m.Rejoin | m.Pong | m.Refused) for a in actions
        )
        assert lab.server == before
    return nonsense, sense


def test_a_server_is_not_moved_by_nonsense() -> None:
    nonsense, sense = fuzz(COUNT, 1)
    assert nonsense + sense == COUNT and nonsense > COUNT // 10 and sense > COUNT // 2
