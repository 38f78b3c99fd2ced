"""The transmitters as the server has them: cues go out over the control plane, and come back as done or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fl.lab import messages
from radio.cast import CueLost
from radio.cue import Cue

if TYPE_CHECKING:
    from fl.lab.transport import Hub


class RemoteCast:
    """`radio.cast.Cast` of devices that are processes of their own, in the slot that is open.

    Pilots of a device that is not in the round are left out. Everything else that is not answered raises CueLost.

    devices  K
    hub      of the server, from when there is one
    """

    def __init__(self, devices: int, hub: Callable[[], Hub]) -> None:
        self.devices = devices
        self._hub = hub
        self._number = 0
        self._on: set[int] = set()  # who may be sending, or holds a tone

    @property
    def present(self) -> NDArray[np.bool_]:
        state = self._hub().state
        return np.array([name in state.taking for name in state.names], dtype=bool)

    def cue(self, cues: Mapping[int, Cue]) -> None:
        here = self.present
        asked = {k: cue for k, cue in cues.items() if here[k]}
        lost = [k for k, cue in cues.items() if not here[k] and (k in self._on or cue.kind in ("payload", "reference"))]
        self._ask(asked, lost)

    def hold(self, anew: bool) -> bool:
        cue = Cue("start" if anew else "hold")
        return self._ask({int(k): cue for k in np.flatnonzero(self.present)}, [])

    def mute(self) -> None:
        on, here = sorted(self._on), self.present
        self._ask({k: Cue("mute") for k in on if here[k]}, [k for k in on if not here[k]])

    def close(self) -> None:
        """The devices mute themselves when the server ends; they are told where that is possible."""
        with suppress(CueLost):
            self.mute()

    def _ask(self, cues: Mapping[int, Cue], lost: list[int]) -> bool:
        """Whether a tone had to be started. Raises CueLost for who is `lost` and who does not answer."""
        hub, started = self._hub(), False
        self._on -= set(lost)  # they mute themselves
        if cues:
            self._on |= set(cues)
            names, phase = hub.state.names, hub.state.phase
            assert phase is not None, "a cue outside of a slot"
            self._number += 1
            words = {
                names[k]: messages.Cue(phase.slot, self._number, c.kind, c.scalar, c.codeword, c.level)
                for k, c in cues.items()
            }
            did = hub.ask("cue", phase.slot, words, self._number)
            started = hub.state.phase is not None and hub.state.phase.started
            silent = {k for k, c in cues.items() if c.kind == "mute" and names[k] in did}
            failed = [k for k in cues if names[k] not in did]
            self._on -= silent | set(failed)
            lost = [*lost, *failed]
        if lost:
            who = ", ".join(hub.state.names[k] for k in sorted(lost))
            raise CueLost(f"{who} did not say that a cue was carried out; its own terminal says why")
        return started
