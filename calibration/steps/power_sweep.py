"""Transmit power: how digital amplitude and attenuator become a level on the air, device by device.

Never above the gain that the station has set, and never beyond the receiver's full scale: levels rise, and the sweep ends
where the next one would fill the ADC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.linearity import Curve, attenuator_error, fit_curve
from calibration.probe import Floor, Probe, Reading, floor_findings, floor_of, listen, probe_for, trouble
from calibration.rig import Rig
from calibration.step import Known
from radio.errors import InputError
from radio.palette import INK, SERIES
from radio.pictures import Picture

AMPLITUDES_DB = (-21.0, -18.0, -15.0, -12.0, -9.0, -7.5, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0)
ATTENUATOR_DB = (-0.25, -0.5, -1.0, -2.0, -3.0, -6.0, -10.0, -15.0, -20.0)  # below the station's gain
FULL = 0.95  # of ADC full scale that a rail may reach
FOUND_HZ = 500.0  # about an offset that was found, in which it is looked for again
LOSS = Limit(high=0.5)
ERROR = Limit(low=-0.5, high=0.5)
MOST_MISFIT = 3.0  # beyond it something else than the transmitter has moved, and its curve is not to be had
FEWEST = 3  # levels for a curve


@dataclass(frozen=True)
class Sweep:
    """One device's levels: digital amplitudes at the station's gain, and attenuator settings below it."""

    amplitudes: np.ndarray
    readings: Sequence[Reading]
    settings_db: tuple[float, ...] = ()
    setting_readings: Sequence[Reading] = ()
    limited: bool = False  # by the receiver's full scale
    problem: str = ""

    @property
    def curve(self) -> Curve | None:
        if len(self.readings) < FEWEST:
            return None
        levels = np.array([one.level for one in self.readings])
        errors = np.array([one.standard_error for one in self.readings])
        return fit_curve(self.amplitudes, levels, errors, self.ripple)

    @property
    def ripple(self) -> np.ndarray:
        """(n,) power of the device's own image and leak over its tone's. Where its image cannot be told from the receiver's,
        half of their sum is taken for it, and the leak for none."""
        levels = np.array([one.level for one in self.readings])
        apart = [one for one in self.readings if one.apart]
        if not apart:
            both = sum(abs(one.receive_image) ** 2 - 2.0 * one.errors[2] ** 2 for one in self.readings)
            return np.full(levels.size, max(0.0, 0.5 * both / float(levels @ levels)))
        tones = sum(one.level**2 for one in apart)
        images = sum(abs(one.transmit_image) ** 2 - 2.0 * one.errors[3] ** 2 for one in apart)
        leaks = np.mean([abs(one.leak) ** 2 - 2.0 * one.errors[1] ** 2 for one in apart])
        return np.asarray(max(0.0, images / tones) + max(0.0, float(leaks)) / levels**2)

    def errors(self, curve: Curve) -> list[tuple[float, Estimate]]:
        """Of the attenuator settings that could be measured: (setting, error)."""
        top, ripple = float(self.amplitudes[-1]), float(self.ripple[-1])
        found = [
            (setting, attenuator_error(curve, top, setting, one.level, one.standard_error, ripple))
            for setting, one in zip(self.settings_db, self.setting_readings, strict=True)
        ]
        return [(setting, error) for setting, error in found if error is not None]


def sweep_device(rig: Rig, device: int, probe: Probe, floor: Floor) -> Sweep:
    """Both sweeps of one device. Its gain is the station's again afterwards."""
    radio = rig.transmitters[device]
    gain_db = radio.transmit_gain_db
    kept: list[tuple[float, Reading]] = []
    limited, problem, offset_hz, width_hz = False, "silent", 0.0, rig.offset_max_hz
    try:
        for level_db in AMPLITUDES_DB:
            amplitude = 10.0 ** (level_db / 20.0)
            if kept and kept[-1][1].peak * amplitude / kept[-1][0] > FULL:  # compression could only make it less
                limited = True
                break
            reading = listen(rig, device, probe, floor, amplitude, offset_hz=offset_hz, offset_max_hz=width_hz)
            if reading.problem == "silent" and not kept:
                continue
            if not reading.usable:
                limited, problem = reading.problem == "saturated", reading.problem
                break
            kept.append((amplitude, reading))
            offset_hz, width_hz = reading.offset_hz, FOUND_HZ
        settings: list[tuple[float, Reading]] = []
        for setting_db in ATTENUATOR_DB if len(kept) >= FEWEST else ():
            try:
                radio.transmit_gain_db = gain_db + setting_db
            except InputError:  # below its range
                break
            reading = listen(rig, device, probe, floor, kept[-1][0], offset_hz=offset_hz, offset_max_hz=FOUND_HZ)
            if reading.usable:
                settings.append((setting_db, reading))
    finally:
        radio.transmit_gain_db = gain_db
    if len(kept) >= FEWEST:
        problem = "interference" if any(reading.problem for _, reading in kept) else ""
    elif limited:
        problem = "saturated"
    return Sweep(
        np.array([amplitude for amplitude, _ in kept]),
        [reading for _, reading in kept],
        tuple(setting for setting, _ in settings),
        [reading for _, reading in settings],
        limited,
        problem,
    )


class PowerSweep:
    name = "power_sweep"
    about = "transmit power: linearity, 1 dB compression, attenuator steps"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        floor, probe = floor_of(rig), probe_for(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        facts: list[dict[str, Any]] = []
        drawn: list[tuple[str, Sweep, Curve]] = []
        for k, name in enumerate(rig.names):
            rig.say(f"power sweep of {name}")
            sweep = sweep_device(rig, k, probe, floor)
            curve = sweep.curve
            fact: dict[str, Any] = {"name": name, "transmit_gain_db": rig.transmitters[k].transmit_gain_db}
            if sweep.problem:
                findings.append(trouble(self.name, name, sweep.problem))
            if curve is not None:
                findings += self._judge(name, sweep, curve)
                fact |= _facts(sweep, curve)
                drawn.append((name, sweep, curve))
            facts.append(fact)
        pictures = (_picture(drawn),) if drawn else ()
        return Outcome(
            tuple(findings),
            {"device": facts, "receive_gain_db": rig.receiver.receive_gain_db},
            pictures,
            _series(drawn),
        )

    def _judge(self, name: str, sweep: Sweep, curve: Curve) -> list[Finding]:
        found: list[Finding] = []
        if curve.misfit > 1.0:
            found.append(
                Finding(
                    self.name,
                    name,
                    f"levels are {curve.misfit:.1f} times as far off the curve as noise puts them",
                    verdict="warn",
                    advice="something moves between the levels: a cable, a person, automatic gain; hold it and repeat the step",
                )
            )
        if curve.misfit > MOST_MISFIT:
            return found
        top = float(sweep.amplitudes[-1])
        linear = curve.linear_amplitude()
        advice = (
            f"keep digital amplitudes below {linear:.2f}, or lower transmit_gain_db by {_back_off_db(curve):.1f} dB and raise "
            "the receiver's gain as much"
        )
        words = "gain lost at the highest level"
        found.append(Finding.judged(self.name, name, words, curve.loss_db(top), LOSS, advice))
        point = curve.compression_dbfs
        if point is not None:
            found.append(Finding(self.name, name, "output 1 dB compression point", point))
        else:
            found.append(
                Finding(
                    self.name,
                    name,
                    f"output 1 dB compression point: none within range, above {curve.compression_bound_dbfs:.1f} dBFS",
                )
            )
        if sweep.limited:
            found.append(
                Finding(
                    self.name,
                    name,
                    f"swept only up to digital amplitude {top:.2f}: the receiver is full",
                    verdict="warn",
                    advice="lower receive_gain_db of the station, or put an attenuator between",
                )
            )
        errors = sweep.errors(curve)
        if errors:
            setting, worst = max(errors, key=lambda one: abs(one[1].value))
            words = f"attenuator error, largest (at {setting:+g} dB)"
            found.append(
                Finding.judged(
                    self.name,
                    name,
                    words,
                    worst,
                    ERROR,
                    "leave the attenuator as it is and set levels by digital amplitude",
                )
            )
        return found


def _back_off_db(curve: Curve) -> float:
    return float(max(0.25, -20.0 * np.log10(curve.linear_amplitude())))


def _facts(sweep: Sweep, curve: Curve) -> dict[str, Any]:
    """The amplitude map: digital amplitude, what arrives over what a straight line would give, and its error."""
    line = curve.gain * sweep.amplitudes
    levels = np.array([one.level for one in sweep.readings])
    errors = np.array([one.standard_error for one in sweep.readings])
    found = sweep.errors(curve)
    fact: dict[str, Any] = {"offset_hz": sweep.readings[-1].offset_hz, "misfit": curve.misfit}
    if curve.misfit > MOST_MISFIT:
        return fact
    fact |= {
        "gain_dbfs": curve.gain_db.value,
        "gain_error_db": curve.gain_db.standard_error,
        "curvature": curve.curvature,
        "curvature_error": float(np.sqrt(curve.covariance[1, 1])),
        "linear_amplitude": curve.linear_amplitude(),
        "amplitude": [float(a) for a in sweep.amplitudes],
        "amplitude_gain_db": [float(x) for x in 20.0 * np.log10(levels / line)],
        "amplitude_gain_error_db": [float(x) for x in 20.0 / np.log(10.0) * errors / levels],
        "attenuator_db": [setting for setting, _ in found],
        "attenuator_error_db": [error.value for _, error in found],
        "attenuator_error_error_db": [error.standard_error for _, error in found],
    }
    point = curve.compression_dbfs
    if point is not None:
        fact |= {"compression_dbfs": point.value, "compression_error_db": point.standard_error}
    else:
        fact["compression_above_dbfs"] = curve.compression_bound_dbfs
    return fact


def _series(drawn: Sequence[tuple[str, Sweep, Curve]]) -> dict[str, Any]:
    return {
        f"power_sweep_{k}": np.stack([sweep.amplitudes, [one.level for one in sweep.readings]])
        for k, (_, sweep, _) in enumerate(drawn)
    }


def _picture(drawn: Sequence[tuple[str, Sweep, Curve]]) -> Picture:
    def draw(axes: Axes) -> None:
        for k, (name, sweep, curve) in enumerate(drawn):
            colour = SERIES[k % len(SERIES)]
            levels = np.array([one.level for one in sweep.readings])
            errors = np.array([one.standard_error for one in sweep.readings])
            x = 20.0 * np.log10(sweep.amplitudes)
            y = 20.0 * np.log10(levels / (curve.gain * sweep.amplitudes))
            half = 1.96 * 20.0 / np.log(10.0) * errors / levels
            axes.errorbar(x, y, half, fmt="o", color=colour, markersize=3.5, linewidth=0.9, label=name)
            smooth = np.linspace(x[0], x[-1], 200)
            fine = 10.0 ** (smooth / 20.0)
            axes.plot(smooth, 20.0 * np.log10(curve.received(fine) / (curve.gain * fine)), color=colour, linewidth=1.2)
        axes.axhline(-1.0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_xlabel("digital amplitude (dBFS)")
        axes.set_ylabel("gain over small signals (dB)")
        if len(drawn) <= len(SERIES):
            axes.legend(loc="lower left")

    losses = [
        curve.loss_db(float(sweep.amplitudes[-1])).value for _, sweep, curve in drawn if curve.misfit <= MOST_MISFIT
    ]
    title = "Transmit power: something moved during the sweep."
    if losses:
        title = f"Transmit power: up to {max(0.0, *losses):.2f} dB are lost at the highest level."
    caption = (
        "Points: levels at the receiver with 95 % intervals; lines: Rapp's amplifier fitted; dashed: 1 dB compression."
    )
    return Picture("power-sweep", title, caption, draw)
