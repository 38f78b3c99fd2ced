"""Weights that should be equal and are not: whose, since which round, and whether memory or arithmetic is to blame.

Weights follow from the log, so either side can make its own anew and digest them after any entry.  Where a device's replay
differs from the server's, its arithmetic is at fault, and asking at ever fewer places finds the round.  Where the replays
agree, somebody's weights were altered in memory; when, only the digests that were compared in time can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fl.lab.messages import PLACES
from fl.replica import Replica
from fl.update import RoundUpdate

Digests = Callable[[Sequence[int]], Sequence[str] | None]  # of weights made anew, after so many entries each


@dataclass(frozen=True)
class Verdict:
    """right: entries of the log after which the weights were still right; wrong: after which they were not."""

    whose: Literal["device", "server"]
    cause: Literal["memory", "arithmetic", "unknown"]
    right: int
    wrong: int


def explain(theirs: Digests, ours: Digests, live: str, agreed: int, position: int) -> Verdict:
    """Why a device's digest after `position` entries is not the server's.

    theirs  asks the device; None if it does not answer
    ours    of the server's own weights
    live    digest of the weights that the server had in memory
    agreed  entries after which the two last agreed; after 0 they do, for they have compared their models
    """
    anew = ours([position])
    assert anew is not None
    if anew[0] != live:
        return Verdict("server", "memory", agreed, position)
    told = theirs([position])
    if told is None or told[0] == anew[0]:
        return Verdict("device", "unknown" if told is None else "memory", agreed, position)
    right, wrong = 0, position
    while wrong - right > 1:
        places = _between(right, wrong)
        told, anew = theirs(places), ours(places)
        if told is None or anew is None:
            break
        for place, other, own in zip(places, told, anew, strict=True):
            if other != own:
                wrong = place
                break
            right = place
    return Verdict("device", "arithmetic", right, wrong)


def _between(low: int, high: int) -> list[int]:
    """At most `PLACES` places, evenly from `low` to `high`, neither included."""
    parts = min(PLACES + 1, high - low)
    return [low + (high - low) * part // parts for part in range(1, parts)]


def digests_at(replica: Replica, updates: Sequence[RoundUpdate], places: Sequence[int]) -> list[str]:
    """Digests of weights that have not moved yet after so many updates each; `places` in order."""
    found, done = [], 0
    for place in places:
        replica.replay(updates[done:place])
        found.append(replica.digest())
        done = place
    return found


def sentence(verdict: Verdict, device: str, slots: Sequence[int]) -> str:
    """For a person.  slots: of the entries of the log."""
    first, last = slots[verdict.right], slots[verdict.wrong - 1]
    where = f"in slot {last}" if first == last else f"between slot {first} and slot {last}"
    whose = device if verdict.whose == "device" else "the server"
    if verdict.cause == "arithmetic":
        why = (
            f"{where} first: its replay of the same log gives other weights from there on, so its perturbations or "
            "its arithmetic are at fault. Look at its versions and processor before it takes part again"
        )
    elif verdict.cause == "memory":
        why = (
            f"{where}: a replay of its own log gives the right ones, so they were altered in memory. Look at that "
            f"machine's memory, start {whose} again and resume the run"
        )
    else:
        why = (
            f"{where}; it did not say whether its replay gives the right ones. Look at its memory and versions, start "
            "it again and resume the run"
        )
    return f"the weights of {whose} went wrong {why}. The journal is right"
