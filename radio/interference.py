"""Signals of others at the receiver."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.impairments import Impairments


@dataclass(frozen=True)
class Interferer:
    """Somebody else's carrier: amplitude at the receiver's antenna (DAC full scale = 1), offset from ours."""

    amplitude: float
    offset_hz: float


class Bursts:
    """Bursts of wide-band noise that begin at random (Poisson) on the clock of one phase of a round."""

    def __init__(self, settings: Impairments, draws: np.random.Generator, clock: int, rate_sps: float) -> None:
        self._mean_gap = rate_sps / settings.burst_rate_hz
        self._length = max(1, round(settings.burst_s * rate_sps))
        self._amplitude = settings.burst_amplitude
        self._arrivals, self._noise = draws.spawn(2)  # so that arrivals do not depend on where captures end
        self._next = clock - self._length + self._arrivals.exponential(self._mean_gap)
        self._begun: list[int] = []

    def add(self, antenna: NDArray[np.complex128], clock: int) -> None:
        """Add to `antenna` (n,), in place, what falls into [clock, clock + n)."""
        end = clock + antenna.size
        while self._next < end:
            self._begun.append(math.floor(self._next))
            self._next += self._arrivals.exponential(self._mean_gap)
        self._begun = [begin for begin in self._begun if begin + self._length > clock]
        for begin in self._begun:
            first, last = max(begin, clock), min(begin + self._length, end)
            noise = self._noise.standard_normal(2 * (last - first)).view(np.complex128)
            antenna[first - clock : last - clock] += self._amplitude / math.sqrt(2.0) * noise
