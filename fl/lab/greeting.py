"""What answers at an address, when a handshake failed.  libzmq says only that it failed; the first 64 bytes say why.

Source: ZMTP 3.1 (rfc.zeromq.org/spec/37), section "Greeting".
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from radio.errors import InputError

LENGTH = 64
# Signature and version 3.1: a peer answers these with its whole greeting, and would hang up at a mechanism that is not its own.
# The signature's padding may be anything; line ends make a service speak that waits for a line.
OURS = b"\xff" + 4 * b"\r\n" + b"\x7f\x03\x01"


@dataclass(frozen=True)
class Answer:
    """`speaks` is the security mechanism of a ZeroMQ service ("CURVE", "NULL", "PLAIN"), "other" for bytes that are not
    ZeroMQ's, or None where nothing answered; `why` puts it in words."""

    speaks: str | None
    why: str


def parse(endpoint: str) -> tuple[str, str]:
    """Host and port of `tcp://HOST:PORT`.  Raises InputError for anything else."""
    found = re.fullmatch(r"tcp://([A-Za-z0-9._*-]+):([0-9]{1,5}|\*)", endpoint)
    if found is None or (found[2] != "*" and not 0 < int(found[2]) < 65536):
        raise InputError(
            f"address {endpoint!r}: allowed is tcp://HOST:PORT with a port of 1 to 65535, as in tcp://192.168.1.10:5755"
        )
    return found[1], found[2]


def ask(host: str, port: int, timeout_s: float = 0.5) -> Answer:
    """Greet whoever listens and read what it answers; takes at most about `timeout_s` after the connection."""
    heard = b""
    try:
        with socket.create_connection((host, port), timeout_s) as link:
            link.sendall(OURS)
            while len(heard) < LENGTH and (more := link.recv(LENGTH - len(heard))):
                heard += more
    except TimeoutError:
        if not heard:
            return Answer(None, "it does not answer")
    except socket.gaierror as error:
        return Answer(None, f"the name {host} cannot be resolved: {error.strerror}")
    except OSError as error:
        if not heard:
            return Answer(None, (error.strerror or str(error)).lower())
    if not heard:
        return Answer(None, "it hangs up without a word: a tunnel with nothing behind it?")
    if heard[:1] != b"\xff" or heard[9:10] not in (b"", b"\x7f"):
        return Answer("other", f"it speaks another protocol; its first bytes are {heard[:24]!r}")
    if len(heard) < LENGTH:
        return Answer(None, "its greeting stops in the middle")
    mechanism = heard[12:32].rstrip(b"\0").decode("ascii", "replace")
    return Answer(mechanism, f"it speaks ZeroMQ with {mechanism} security")
