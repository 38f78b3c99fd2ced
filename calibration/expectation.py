"""The error that a profile expects of a run's sums, whatever mode and windows the run takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.prediction import SumError, unexplained


@dataclass(frozen=True)
class Measured:
    """One mode as its known sums left it.

    devices           that took part, on average
    window, pilots    samples of them
    closed            the closed form at these
    extra             what was measured beyond it (`calibration.prediction.unexplained`)
    mse, mse_error    measured, as the closed form has it for uniform payloads, and its standard error
    power             (K,) mean |h_k|^2; 0: never heard
    spread_db         rms of the gains from round to round
    relative          (K,) relative variance of the gains' estimates by the pilots' noise; NaN: never heard
    noise_variance    per complex sample
    """

    devices: float
    window: int
    pilots: int
    closed: SumError
    extra: float
    mse: float
    mse_error: float
    power: NDArray[np.float64]
    spread_db: float
    relative: NDArray[np.float64]
    noise_variance: float

    def at(self, window: int, pilots: int | None = None) -> SumError:
        """With other windows; what moves stays as it is."""
        made = self.closed.longer(window / self.window, 1.0 if pilots is None else pilots / self.pilots)
        if self.extra < 0.0:  # less was measured than the form says
            return made.times(self.mse / self.closed.of(self.devices))
        return SumError(made.noise, made.size, made.cross, made.payload + self.extra)

    def rms(self, window: int, pilots: int | None = None) -> float:
        """Share of full scale, payloads uniform."""
        return math.sqrt(self.at(window, pilots).of(self.devices)) / self.devices


def measured(facts: dict[str, Any] | Any, mode: str) -> Measured | None:
    """From the facts of all steps; None for a mode that has carried no known sum, or has no closed form."""
    one = facts.get("known_scalar", {}).get(mode, {})
    if not one.get("works") or "closed" not in one:
        return None
    closed, devices = SumError(**one["closed"]), float(one["devices"])
    predicted = closed.of(devices)
    mse, error = predicted * float(one["over_predicted"]), predicted * float(one["over_predicted_standard_error"])
    return Measured(
        devices,
        int(one["window"]),
        int(one["pilot_window"]),
        closed,
        unexplained(closed, devices, mse, error),
        mse,
        error,
        np.asarray(one["power"], dtype=np.float64),
        float(one["power_spread_db"]),
        np.asarray(one["relative_variance"], dtype=np.float64),
        float(one["noise_variance"]),
    )
