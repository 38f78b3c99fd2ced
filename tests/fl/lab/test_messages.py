"""Messages survive the wire unchanged, and what is no message of the expected kind is refused with a MessageError."""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect

from fl.lab import messages as m
from radio.streams import stream

DIGEST = "ab" * 32
FACTS = m.Facts(DIGEST, DIGEST, DIGEST, "fp32", DIGEST)
ROUND = m.Round(3, 4, 2**64 - 1, 0.01, 2, "central", True, ((5, 0, -0.1), (5, 1, 1e-300)), (0.9, 3))

FROM_DEVICE = [
    m.Hello(1, "0.1", "104473"),
    m.Ready(FACTS, 12, -1),
    m.Opened(7),
    m.Armed(7),
    m.Declined(7, "budget"),
    m.Sent(7, False),
    m.Cued(7, 12, False, True),
    m.Status(41.5),
    m.Ready(FACTS, 12, -1, m.Tuned(915e6, 1e6, "shared", 40e6)),
    m.Digest(100, DIGEST),
    m.Ping(),
]
FROM_SERVER = [
    m.Welcome("0123456789abcdef", "{}", 2, 40001, 100),
    m.Refused("no", final=False),
    m.Suffix(4, (ROUND,)),
    m.Open(7, 4, 2**63, 2, 0.01),
    m.Propose(7, 3, 0.25, (0.5, -0.125), 11.0),
    m.Transmit(7, 5.0),
    m.Cue(7, 12, "together", level=0.5),
    m.Commit(ROUND),
    m.Pong(4),
    m.Rejoin(),
    m.Stop("finished"),
]


@pytest.mark.parametrize("message", FROM_DEVICE, ids=lambda v: type(v).__name__)
def test_from_device(message: m.FromDevice) -> None:
    assert m.from_device(m.encode(message)) == message


@pytest.mark.parametrize("message", FROM_SERVER, ids=lambda v: type(v).__name__)
def test_from_server(message: m.FromServer) -> None:
    assert m.from_server(m.encode(message)) == message


def test_between_device_and_air() -> None:
    values = (0.1, -3e300, 5e-324)
    assert m.payload(m.encode(m.Payload(7, values))).values == values
    assert m.on_air(m.encode(m.OnAir(7))).slot == 7


def _numbers(kind: Any, path: str) -> dict[str, str]:
    """Every field of a message, or of what is in it, that can hold a number that is no integer, or bytes, or any length of
    anything."""
    found: dict[str, str] = {}
    for field in inspect.type_info(kind).fields:  # type: ignore[union-attr]
        parts = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for part in parts:
            where = f"{path}.{field.name}"
            if isinstance(part, inspect.StructType):
                found |= _numbers(part.cls, where)
            elif not isinstance(
                part, inspect.IntType | inspect.BoolType | inspect.NoneType | inspect.LiteralType | inspect.StrType
            ):
                found[where] = type(part).__name__
    return found


def test_what_a_device_says_has_no_room_for_a_payload() -> None:
    """The server sees the measured sum and acknowledgements; how its radio is set is all that a device says in numbers."""
    found: dict[str, str] = {}
    for kind in get_args(m.FromDevice):
        found |= _numbers(kind, kind.__name__)
    assert found == {
        "Compared.digests": "VarTupleType",  # of weights that everybody has, anew from the log
        "Ready.radio.lo_hz": "FloatType",
        "Ready.radio.rate_sps": "FloatType",
        "Ready.radio.reference_hz": "FloatType",
        "Status.temperature_c": "FloatType",
    }


def test_cues_mean_something() -> None:
    cue = m.Cue(7, 12, "payload", 1, 1)
    for changes in (
        {"kind": "shout"},
        {"level": 1.5},
        {"level": math.nan},
        {"number": 0},
        {"scalar": -1},
        {"values": [0.5]},
    ):
        with pytest.raises(m.MessageError):
            m.from_server(_altered(cue, **changes))
    for value in (math.nan, -300.0):
        with pytest.raises(m.MessageError):
            m.from_device(_altered(m.Status(20.0), temperature_c=value))


def test_a_direction_is_not_the_other() -> None:
    for message in FROM_SERVER:
        with pytest.raises(m.MessageError):
            m.from_device(m.encode(message))
    for message in FROM_DEVICE:
        with pytest.raises(m.MessageError):
            m.from_server(m.encode(message))
    with pytest.raises(m.MessageError):
        m.payload(m.encode(m.OnAir(7)))


def _altered(message: m.Message, **changes: object) -> bytes:
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    return b"PZ1" + msgspec.msgpack.encode({**fields, **changes})


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"PZ1",
        b"PZ2" + m.encode(m.Ping())[3:],
        m.encode(m.Ping()) + b"\0",
        b"PZ1" + bytes(m.LARGEST),
        _altered(m.Opened(7), slot=-1),
        _altered(m.Opened(7), slot=1.5),
        _altered(m.Opened(7), slot="7"),
        _altered(m.Opened(7), more=1),
        _altered(m.Digest(1, DIGEST), digest="AB" * 32),
        _altered(m.Declined(7, "budget"), reason="mood"),
    ],
)
def test_nonsense_from_a_device(frame: bytes) -> None:
    with pytest.raises(m.MessageError):
        m.from_device(frame)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value: float) -> None:
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(ROUND))
    for frame in (
        _altered(FROM_SERVER[4], noise_std=value),
        _altered(FROM_SERVER[4], precoder=[value, 0.0]),
        _altered(FROM_SERVER[4], payload_peak=value),
        _altered(m.Commit(ROUND), round={**wire, "mu": value}),
        _altered(m.Commit(ROUND), round={**wire, "moves": [[5, 0, value]]}),
        _altered(m.Commit(ROUND), round={**wire, "carried": [value, 1]}),
        _altered(m.Transmit(7, 1.0), window_s=value),
    ):
        with pytest.raises(m.MessageError):
            m.from_server(frame)
    with pytest.raises(m.MessageError):
        m.payload(_altered(m.Payload(7, (0.0,)), values=[value]))


def test_a_round_means_something() -> None:
    wire = msgspec.msgpack.decode(msgspec.msgpack.encode(ROUND))
    for changes in ({"probe": "guess"}, {"probe": "split:0"}, {"committed": False}, {"mu": 0.0}, {"perturbations": 0}):
        with pytest.raises(m.MessageError):
            m.from_server(_altered(m.Commit(ROUND), round={**wire, **changes}))


def test_damaged_frames_raise_nothing_else() -> None:
    draw = stream(7, "damage")
    frames = [m.encode(message) for message in (*FROM_DEVICE, *FROM_SERVER)]
    for _ in range(20_000):
        damaged = bytearray(frames[draw.integers(len(frames))])
        for _ in range(draw.integers(1, 4)):
            damaged[draw.integers(3, len(damaged)) if len(damaged) > 3 else 0] = draw.integers(256)
        for decode in (m.from_device, m.from_server, m.payload, m.on_air):
            try:
                message = decode(bytes(damaged[: draw.integers(len(damaged) + 1)]))
            except m.MessageError:
                continue
            assert m.encode(message)
