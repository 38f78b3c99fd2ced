"""Named random streams: every public draw is a pure function of (seed, names).

Streams of different names are independent for every practical purpose (SHA-256), so a draw for one purpose never
shifts another's and rounds can be visited in any order. For public seeds and simulation only: privacy noise and secret
batches come from the operating system, never from here.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, *names: str | int) -> int:
    """A 256-bit integer derived from `seed` and the path `names`; strings and integers never collide."""
    digest = hashlib.sha256(b"pairzero stream v1")
    for part in (seed, *names):
        if isinstance(part, str):
            raw, tag = part.encode(), b"s"
        else:
            raw, tag = str(int(part)).encode(), b"i"
        digest.update(tag + len(raw).to_bytes(8, "little") + raw)
    return int.from_bytes(digest.digest(), "little")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A counter-based (Philox) generator for the purpose `names`, e.g. `stream(seed, "round", t, "noise")`."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(stream_seed(seed, *names))))
