"""What server, devices and the air say to each other: msgspec structs, checked for meaning before anybody acts on them.

A frame is `PZ1` and a msgpack map with the message's type in it.  `Hello` and `Refused` keep their form for ever, so that a
server and a device of different protocols can still tell each other why they will not talk.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from fl.estimators.estimator import UNTOUCHED

PROTOCOL = 1
LARGEST = 1 << 20  # bytes of a frame
CHUNK = 256  # rounds of a suffix that go into one message, at most
PLACES = 16  # of a `Compare`, at most
MOVES = 16384  # moves in them, likewise
_MAGIC = b"PZ1"

T = TypeVar("T")

Number = Annotated[int, Meta(ge=0, le=2**53)]
Seed = Annotated[int, Meta(ge=0)]  # of 64 bit: what msgpack has room for
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(max_length=128)]
Positive = Annotated[float, Meta(gt=0, lt=1e12)]
Reason = Literal["finished", "interrupted", "budget", "error"]


class MessageError(ValueError):
    """A frame that is no message of the expected kind."""


class _Message(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


def _finite(*values: float) -> None:
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")


class Facts(Struct, frozen=True, forbid_unknown_fields=True):
    """What must be equal everywhere for one log to give the same weights everywhere.

    generator  digest of the starting weights moved once along a known direction: a self-test of the perturbations
    """

    experiment: Sha256
    tokenizer: Sha256
    model: Sha256
    dtype: Name
    generator: Sha256


class Tuned(Struct, frozen=True, forbid_unknown_fields=True):
    """How a radio is set, which must suit the receiver's.

    reference_hz  what it takes its reference clock for (`xo_correction`); None where it does not tell
    """

    lo_hz: Positive
    rate_sps: Positive
    clock: Literal["shared", "free"]
    reference_hz: Positive | None = None


class Round(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One entry of the log: `fl.update.RoundUpdate` with its place, as the journal has it.

    moves      (seed, perturbation, amount), the step's own
    carried    (decay, rounds) of `fl.update.Carried`, which goes on from the last committed entry
    committed  False: the slot was erased; it has been probed and moves nothing
    """

    position: Number
    slot: Number
    seed: Seed
    mu: Annotated[float, Meta(gt=0, lt=1)]
    perturbations: Annotated[int, Meta(ge=1, le=4096)]
    probe: Name
    committed: bool
    moves: Annotated[tuple[tuple[Seed, Number, float], ...], Meta(max_length=8192)] = ()
    carried: tuple[float, Number] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"{UNTOUCHED}|central|one-sided|split:[1-9][0-9]{{0,3}}", self.probe):
            raise ValueError(f"no probe {self.probe!r}")
        _finite(*(amount for _, _, amount in self.moves), *(() if self.carried is None else self.carried[:1]))
        if not self.committed and (self.moves or self.carried):
            raise ValueError("an erased round moves nothing")


# device -> server


class Hello(_Message, frozen=True):
    """First word of a device; its name is that of its key."""

    protocol: Number
    version: Name
    serial: Name = ""  # of its radio


class Ready(_Message, frozen=True):
    """The device has checked and built the experiment.  had: entries of the log it has; charged: the last slot of this run
    in its ledger, -1 for none; radio: its own, None on the simulated air."""

    facts: Facts
    had: Number
    charged: Annotated[int, Meta(ge=-1, le=2**53)] = -1
    radio: Tuned | None = None


class Opened(_Message, frozen=True):
    """Measured; said at a time that depends on no data."""

    slot: Number


class Armed(_Message, frozen=True):
    """Charged, durably; the payload is made."""

    slot: Number


class Declined(_Message, frozen=True):
    """Will not transmit: `budget`, none is left; `charged`, this slot is in the ledger already; `terms`, the proposal cannot
    be met; `air`, the transmitter is not there."""

    slot: Number
    reason: Literal["budget", "charged", "terms", "air"]


class Sent(_Message, frozen=True):
    """certain: False if nobody can tell whether all of it was on the air."""

    slot: Number
    certain: bool = True


class Cued(_Message, frozen=True):
    """A cue (number 0: a Transmit) has been taken.  A payload's is answered at a time that depends on no data.

    done     False: it was not carried out, or not all of it; the device's own terminal says why
    started  a tone that is held had to be started
    """

    slot: Number
    number: Number
    done: bool = True
    started: bool = False


class Status(_Message, frozen=True):
    """Of the device's radio; None where it does not tell."""

    temperature_c: Annotated[float, Meta(ge=-273, le=1000)] | None = None


class Digest(_Message, frozen=True):
    """SHA-256 of the device's weights after `position` entries of the log."""

    position: Number
    digest: Sha256


class Compared(_Message, frozen=True):
    """Answer to `Compare`, a digest for each place."""

    digests: Annotated[tuple[Sha256, ...], Meta(min_length=1, max_length=PLACES)]


class Ping(_Message, frozen=True):
    pass


# server -> device


class Welcome(_Message, frozen=True):
    """The experiment as JSON; the device's place in it; where the simulated air is, 0 for radios; how often to report a
    digest, in entries."""

    run_id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    experiment: Annotated[str, Meta(max_length=1 << 18)]
    index: Number
    air_port: Annotated[int, Meta(ge=0, le=65535)]
    digest_every: Annotated[int, Meta(ge=1)]


class Refused(_Message, frozen=True):
    """Why the device may not join; not `final`: it may try again in a moment."""

    reason: Annotated[str, Meta(max_length=4000)]
    final: bool = True


class Suffix(_Message, frozen=True):
    """Entries of the log that the device lacks, as many as go into one message; the log has `length`."""

    length: Number
    rounds: Annotated[tuple[Round, ...], Meta(max_length=CHUNK)]


class Open(_Message, frozen=True):
    """Measure: `fl.transport.RoundOrder`, at the weights after `position` entries of the log."""

    slot: Number
    position: Number
    seed: Seed
    perturbations: Annotated[int, Meta(ge=1, le=4096)]
    mu: Annotated[float, Meta(gt=0, lt=1)]


class Propose(_Message, frozen=True):
    """How loud and with how much noise: `radio.air.AirPlan` and `fl.proposal.Proposal` as they concern one device.

    precoder  complex amplitude, real and imaginary part
    """

    slot: Number
    active: Annotated[int, Meta(ge=1, le=1 << 20)]
    noise_std: Annotated[float, Meta(ge=0)]
    precoder: tuple[float, float]
    payload_peak: Annotated[float, Meta(gt=0)]

    def __post_init__(self) -> None:
        _finite(self.noise_std, *self.precoder, self.payload_peak)


class Transmit(_Message, frozen=True):
    """Now, for at most `window_s`; over a radio, when cues say so."""

    slot: Number
    window_s: Annotated[float, Meta(gt=0, le=600)]


class Cue(_Message, frozen=True):
    """`radio.cue.Cue`, for one device; `number` counts them.  It has no room for a value."""

    slot: Number
    number: Annotated[int, Meta(ge=1, le=2**53)]
    kind: Literal["hold", "start", "pilot", "together", "payload", "reference", "rest", "mute"]
    scalar: Annotated[int, Meta(ge=0, le=4096)] = 0
    codeword: Annotated[int, Meta(ge=0, le=15)] = 0
    level: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Commit(_Message, frozen=True):
    round: Round


class Compare(_Message, frozen=True):
    """The weights disagree: make them anew from the log, and digest them after so many entries each."""

    places: Annotated[tuple[Number, ...], Meta(min_length=1, max_length=PLACES)]

    def __post_init__(self) -> None:
        if list(self.places) != sorted(set(self.places)):
            raise ValueError("places that do not ascend")


class Pong(_Message, frozen=True):
    """The server is there, and its log has `length` entries."""

    length: Number


class Rejoin(_Message, frozen=True):
    """The server does not know this connection: say Hello."""


class Stop(_Message, frozen=True):
    reason: Reason


# device <-> air


class Payload(_Message, frozen=True):
    """x_k, payload units: for the air alone."""

    slot: Number
    values: Annotated[tuple[float, ...], Meta(min_length=1, max_length=4096)]

    def __post_init__(self) -> None:
        _finite(*self.values)


class OnAir(_Message, frozen=True):
    slot: Number


FromDevice = Hello | Ready | Opened | Armed | Declined | Sent | Cued | Status | Digest | Compared | Ping
FromServer = Welcome | Refused | Suffix | Open | Propose | Transmit | Cue | Commit | Compare | Pong | Rejoin | Stop
Message = FromDevice | FromServer | Payload | OnAir

_encoder = msgspec.msgpack.Encoder()
_from_device = msgspec.msgpack.Decoder(FromDevice)
_from_server = msgspec.msgpack.Decoder(FromServer)
_payload = msgspec.msgpack.Decoder(Payload)
_on_air = msgspec.msgpack.Decoder(OnAir)


def encode(message: Message) -> bytes:
    return _MAGIC + _encoder.encode(message)


def _decode(decoder: msgspec.msgpack.Decoder[T], frame: bytes) -> T:
    if len(frame) > LARGEST or not frame.startswith(_MAGIC):
        raise MessageError(f"a frame of {len(frame)} bytes that begins with {frame[:3]!r}")
    try:
        return decoder.decode(memoryview(frame)[len(_MAGIC) :])
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as problem:
        raise MessageError(str(problem)) from None


def from_device(frame: bytes) -> FromDevice:
    """What a device says to the server.  Raises MessageError."""
    return _decode(_from_device, frame)


def from_server(frame: bytes) -> FromServer:
    """Raises MessageError."""
    return _decode(_from_server, frame)


def payload(frame: bytes) -> Payload:
    """What a device gives to the air.  Raises MessageError."""
    return _decode(_payload, frame)


def on_air(frame: bytes) -> OnAir:
    """Raises MessageError."""
    return _decode(_on_air, frame)
