"""Closed-loop power alignment: device amplitudes are iterated until all arrive at one level.

The target is what the weakest device reaches at full scale, so that nobody has to be louder than the station file allows.
Gains of the radios are not touched: a device that arrives far above the others is named, with the gain that would mend it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from calibration.finding import Estimate, Finding, Limit, Outcome, Verdict
from calibration.rig import Rig
from calibration.step import Known
from radio.errors import InputError
from radio.palette import INK, SERIES
from radio.pictures import Picture
from radio.pilot import saturated_fraction
from radio.sequence import random_phases

SEED = 9  # of the public sequences
WINDOW = 4096
TOLERANCE_DB = 0.1  # converged: every device within this of the target, or within its own standard errors
MOST = 6  # iterations
SPREAD = Limit(high=20.0)  # dB between the strongest and the weakest: beyond, 12 bits hold only one of them
STEP_DB = 0.25  # of a Pluto's attenuator
MAX_SATURATED = 1e-3


class Alignment:
    name = "alignment"
    about = "amplitudes at which all devices arrive at one level, in a closed loop"
    needs: tuple[str, ...] = ()

    def __init__(self, window: int = WINDOW, tolerance_db: float = TOLERANCE_DB, most: int = MOST) -> None:
        self.window, self.tolerance_db, self.most = window, tolerance_db, most

    def run(self, rig: Rig, known: Known) -> Outcome:
        floor, floor_error = _power(rig.idle(4 * self.window))
        amplitude = np.ones(rig.devices)
        levels, errors, amplitudes = [], [], []
        target_db = math.nan
        converged = False
        for turn in range(self.most):
            power, error = self._hear(rig, amplitude, turn, floor, floor_error)
            silent = [rig.names[k] for k in np.flatnonzero(power <= 3.0 * error)]
            if silent:
                raise InputError(
                    f"{', '.join(silent)}: not heard above the noise; connect antenna or cable, raise transmit_gain_db (within "
                    "the permit) or receive_gain_db"
                )
            level = 10.0 * np.log10(power)
            levels.append(level)
            errors.append(10.0 / math.log(10.0) * error / power)
            amplitudes.append(amplitude)
            if turn == 0:
                target_db = float(level.min())
            away = level - target_db
            converged = bool(np.all(np.abs(away) <= np.maximum(self.tolerance_db, 2.0 * errors[-1])))
            if converged and turn:
                break
            amplitude = np.minimum(amplitude * 10.0 ** (-away / 20.0), 1.0)
        return self._outcome(rig, np.array(levels), np.array(errors), np.array(amplitudes), target_db, converged)

    def _hear(
        self, rig: Rig, amplitude: NDArray[np.float64], turn: int, floor: float, floor_error: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(K,) received powers above the floor, and their standard errors."""
        power, error = np.zeros(rig.devices), np.zeros(rig.devices)
        waves = random_phases(SEED, rig.devices, self.window, "alignment", turn)
        for k in range(rig.devices):
            heard = rig.hear({k: amplitude[k] * waves[k]}, self.window, turn=turn)
            if saturated_fraction(heard) > MAX_SATURATED:
                raise InputError(
                    f"{rig.names[k]} saturates the ADC at a receive gain of {rig.receiver.receive_gain_db:g} dB; lower "
                    "receive_gain_db, or its transmit_gain_db, or add attenuation"
                )
            found, _ = _power(heard)
            # The sequence's own power is exact; noise and its beat with the sequence are what scatters.
            signal = max(found - floor, 0.0)
            power[k] = signal
            error[k] = math.sqrt((2.0 * floor * signal + floor**2) / self.window + floor_error**2)
        return power, error

    def _outcome(
        self,
        rig: Rig,
        levels: NDArray[np.float64],
        errors: NDArray[np.float64],
        amplitudes: NDArray[np.float64],
        target_db: float,
        converged: bool,
    ) -> Outcome:
        excess = levels[0] - levels[0].min()
        weakest = int(np.argmin(levels[0]))
        findings = []
        last = len(levels) - 1
        for k, name in enumerate(rig.names):
            away = Estimate(float(levels[last, k] - target_db), float(errors[last, k]), "dB")
            allowed = max(self.tolerance_db, 2.0 * float(errors[last, k]))
            advice = "its level moves from one start to the next: fix cables and antennas, and look at the channel's coherence"
            verdict: Verdict = "pass" if abs(away.value) <= allowed else "fail"
            findings.append(
                Finding(
                    self.name, name, "level after alignment, from the target", away, Limit(-allowed, allowed), verdict,
                    "" if verdict == "pass" else advice,
                )
            )  # fmt: skip
        strongest = int(np.argmax(excess))
        spread = Estimate(float(excess[strongest]), float(np.hypot(errors[0, strongest], errors[0, weakest])), "dB")
        lower = STEP_DB * math.floor(excess[strongest] / STEP_DB)
        gain = rig.transmitters[strongest].transmit_gain_db - lower
        findings.append(
            Finding.judged(
                self.name, "station", "spread of the received levels", spread, SPREAD,
                f"near and far devices share 12 bits: set transmit_gain_db = {gain:g} for {rig.names[strongest]} in the station "
                f"file, or move its antenna, and calibrate again; {rig.names[weakest]} is the weakest",
            )
        )  # fmt: skip
        facts = {
            "converged": converged,
            "iterations": len(levels),
            "target_dbfs": target_db,
            "received_dbfs": levels[0],
            "received_standard_error_db": errors[0],
            "amplitude": amplitudes[last],
            "aligned_dbfs": levels[last],
        }
        ends = "within" if converged else "not within"
        picture = Picture(
            "levels",
            f"Received levels come {ends} {self.tolerance_db:g} dB of one another in {len(levels)} turns.",
            "Mean power of each device's own sequence above the noise, turn by turn; the line is the target.",
            _levels(levels, target_db),
        )
        return Outcome(tuple(findings), facts, (picture,), {"levels_dbfs": levels, "amplitudes": amplitudes})


def _power(heard: NDArray[np.complex128]) -> tuple[float, float]:
    """Mean power but for DC, and its standard error if all of it is white noise."""
    power = float(np.var(heard))
    return power, power / math.sqrt(heard.size)


def _levels(levels: NDArray[np.float64], target_db: float) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        axes.axhline(target_db, color=INK, linewidth=0.9)
        few = levels.shape[1] < len(SERIES)
        for k in range(levels.shape[1]):
            axes.plot(range(len(levels)), levels[:, k], "o-", markersize=4, linewidth=1.1,
                      color=SERIES[k % len(SERIES)], label=f"device {k}" if few else None)  # fmt: skip
        axes.set_xticks(range(len(levels)))
        axes.set_xlabel("turn")
        axes.set_ylabel("received level (dBFS)")

    return draw
