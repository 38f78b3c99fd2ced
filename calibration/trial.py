"""What a mode of the air did with known sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from radio.air import ChannelState

MOST_ERASED = 0.2  # share of rounds beyond which a mode does not work here


@dataclass(frozen=True)
class Sweep:
    """How a mode is tried: `rounds` soundings with `scalars` sums each."""

    window: int
    pilot_window: int
    rounds: int
    scalars: int


@dataclass
class Trial:
    """What a mode did with its sweep. Arrays are (rounds that were heard, scalars); payload peak 1."""

    sweep: Sweep
    devices: int
    states: list[ChannelState] = field(default_factory=list)
    payloads: list[NDArray[np.float64]] = field(default_factory=list)  # (n, scalars) each, of those who took part
    truth: list[NDArray[np.float64]] = field(default_factory=list)
    total: list[NDArray[np.float64]] = field(default_factory=list)
    active: list[NDArray[np.bool_]] = field(default_factory=list)  # (K,) each
    reasons: list[str] = field(default_factory=list)  # of erasures
    unheard: dict[int, str] = field(default_factory=dict)  # devices whose pilots were not trusted, and why
    radio_s: float = 0.0

    @property
    def works(self) -> bool:
        return len(self.reasons) <= MOST_ERASED * self.sweep.rounds

    def errors(self) -> NDArray[np.float64]:
        return np.array(self.total) - np.array(self.truth)

    def mse(self) -> tuple[float, float]:
        """Mean squared error and its standard error; rounds are independent, sums of one round share its pilots."""
        return mean_of_rounds((self.errors() ** 2).mean(axis=1))

    def bias(self) -> tuple[float, float]:
        """Mean error, and its standard error."""
        return mean_of_rounds(self.errors().mean(axis=1))

    def slope(self) -> tuple[float, float]:
        """What a unit of the true sum is received as, and its standard error."""
        truth, total = np.array(self.truth), np.array(self.total)
        power = float((truth**2).sum())
        slope = float((truth * total).sum()) / power
        each = (truth * (total - slope * truth)).sum(axis=1)
        return slope, mean_of_rounds(each)[1] * each.size / power

    def nmse_db(self) -> float:
        error = float((self.errors() ** 2).sum())
        return 10.0 * math.log10(error / float((np.array(self.truth) ** 2).sum())) if error > 0.0 else -math.inf


def mean_of_rounds(each: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of independent values and its standard error, widened so that 1.96 of them are Student's 95 % interval."""
    n = each.size
    if n < 2:
        return float(each.mean()), math.inf
    widened = float(stdtrit(n - 1, 0.975)) / float(ndtri(0.975))
    return float(each.mean()), widened * float(each.std(ddof=1)) / math.sqrt(n)
