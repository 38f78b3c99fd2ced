"""Devices that are not there: away for some rounds, or announced and then silent.

Away, a device does not answer the sounding, so it is left out like one in a deep fade: the mean is over the others.  A
straggler is away, too, to everybody who waits no longer; it is away for several rounds in a row.  A silent device answered the
sounding, was counted, and sends nothing: the mean comes out too small.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.air import Air, AirPlan, ChannelState, Received
from radio.streams import stream


@dataclass(frozen=True)
class Absence:
    """Each device by itself, by public draws that are functions of (seed, round).

    away    probability that a device is away in a round
    rounds  how many rounds an absence lasts; absences of several devices begin at different rounds
    silent  probability that a device which is there says nothing
    """

    seed: int
    away: float = 0.0
    rounds: int = 1
    silent: float = 0.0

    def present(self, round_index: int, devices: int) -> NDArray[np.bool_]:
        """(K,) who answers the sounding."""
        phases = stream(self.seed, "absence", "phase").integers(self.rounds, size=devices)
        blocks = (round_index + phases) // self.rounds
        drawn = [stream(self.seed, "absence", "away", k, int(block)).random() for k, block in enumerate(blocks)]
        return np.array(drawn) >= self.away

    def speaking(self, round_index: int, devices: int) -> NDArray[np.bool_]:
        """(K,) who of those that take part does send."""
        return stream(self.seed, "absence", "silent", round_index).random(devices) >= self.silent


class SparseAir:
    """An air with absences.  Everything else is the air's own."""

    def __init__(self, air: Air, absence: Absence) -> None:
        self._air, self._absence = air, absence
        self.devices, self.mode = air.devices, air.mode

    def sound(self, round_index: int) -> ChannelState:
        state = self._air.sound(round_index)
        return replace(state, quality=state.quality & self._absence.present(round_index, self.devices))

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """Of a silent device nothing is sent: where amplitudes add, that is a payload of zero."""
        speaking = self._absence.speaking(round_index, self.devices)
        return self._air.aggregate(round_index, np.where(speaking[:, None], payloads, 0.0), plan)

    def close(self) -> None:
        self._air.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._air, name)
