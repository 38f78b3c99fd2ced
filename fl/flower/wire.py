"""What server and nodes say to each other over Flower: the lab's messages (`fl.lab.messages`) and four more.

A Flower message carries a list of them as bytes.  Only what opens a round, entries of the log, proposals and payloads move;
the experiment goes to a node once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from flwr.app import ConfigRecord, RecordDict
from msgspec import Meta, Struct

from fl.lab.messages import (
    Armed,
    Declined,
    Digest,
    Facts,
    MessageError,
    Name,
    Number,
    Open,
    Opened,
    Payload,
    Propose,
    Sent,
    Suffix,
    Transmit,
)

GREET, MEASURE, ARM, FIRE, DIGEST = "query.greet", "query.measure", "train.arm", "train.fire", "query.digest"
_RECORD, _KEY = "pairzero", "words"

RunId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class Greet(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """at_nodes: every node has its own data and ledger; else it is one of the server's partitions, charged by the server."""

    run_id: RunId
    experiment: Annotated[str, Meta(max_length=1 << 18)]
    at_nodes: bool


class Greeted(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """The node can take part.  partition: -1 for none; charged: last slot of this run in its ledger, -1 for none."""

    facts: Facts
    name: Name
    partition: Annotated[int, Meta(ge=-1, le=2**53)] = -1
    charged: Annotated[int, Meta(ge=-1, le=2**53)] = -1


class Place(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """First word of everything after the greeting: which run, and as which of its devices."""

    run_id: RunId
    index: Number


class Has(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Entries of the log that the node's process had when the message came; -1: it has not even been greeted."""

    entries: Annotated[int, Meta(ge=-1, le=2**53)]


class Refusal(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Why the node will not take part, for a person."""

    reason: Annotated[str, Meta(max_length=4000)]


Word = (
    Greet | Greeted | Place | Has | Refusal | Open | Opened | Suffix | Propose | Armed | Declined | Transmit | Sent | Payload
    | Digest
)  # fmt: skip
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Word)


def encode(word: Word) -> bytes:
    return _encoder.encode(word)


def pack(words: Sequence[Word | bytes]) -> RecordDict:
    """Words, some of them encoded already, as a Flower message's content."""
    frames = [word if isinstance(word, bytes) else encode(word) for word in words]
    return RecordDict({_RECORD: ConfigRecord({_KEY: frames})})


def unpack(content: RecordDict) -> list[Word]:
    """Raises MessageError where it is no list of known words."""
    try:
        return [_decoder.decode(frame) for frame in content[_RECORD][_KEY]]
    except (KeyError, TypeError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
        raise MessageError(f"a Flower message that makes no sense: {problem}") from None
