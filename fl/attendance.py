"""Who is left out for long, told while a run goes on.

In a slot in which nobody takes part nobody in particular is missing, and the slot's erasure says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from fl.rounds import Slot
from radio.air import Explaining, Sounder

LONG = 10  # slots in a row; fewer happen in a deep fade
NAMED = 3  # in one line

TOO_WEAK = "too weak to take part, or away"
UNHEARD = "not heard well enough, or away"


class Attendance:
    """Lines for a person: a device has been left out `LONG` slots in a row, or is back.

    names   of the devices, K of them
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._missed = [0] * len(names)

    def after(self, slot: Slot, air: Sounder) -> list[str]:
        """What the slot just done gives cause to say."""
        active = slot.plan.active
        if not active.any():
            return []
        back = [k for k, there in enumerate(active) if there and self._missed[k] >= LONG]
        lines = [f"{self._names[k]} takes part again, after {self._missed[k]} slots" for k in back[:NAMED]]
        if len(back) > NAMED:
            lines.append(f"and {len(back) - NAMED} more devices take part again")
        self._missed = [0 if there else missed + 1 for missed, there in zip(self._missed, active, strict=True)]
        out = [k for k, missed in enumerate(self._missed) if missed == LONG]
        lines += [
            f"{self._names[k]} has been left out of {LONG} slots in a row: {reason(k, slot, air)}" for k in out[:NAMED]
        ]
        if len(out) > NAMED:
            lines.append(f"and {len(out) - NAMED} more devices have; the report says how often each took part")
        return lines

    def at_the_end(self) -> str:
        """Who is still left out, or ""."""
        out = [k for k, missed in enumerate(self._missed) if missed >= LONG]
        if not out:
            return ""
        named = ", ".join(f"{self._names[k]} ({self._missed[k]} slots)" for k in out[:NAMED])
        more = f" and {len(out) - NAMED} more devices" if len(out) > NAMED else ""
        return f"left out to the end: {named}{more}"


def reason(device: int, slot: Slot, air: Sounder) -> str:
    """Why a device had no part in the slot just done: the fault that sounding found, where the air tells."""
    told = air.faults[device] if isinstance(air, Explaining) and air.faults else ""
    return told or (TOO_WEAK if slot.state.quality[device] else UNHEARD)
