"""Step: where each device's carrier is, how fast it moves, and whether the clocks are what the station file says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from calibration.carrier_fit import CarrierFit, fit_carrier
from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import Floor, Probe, Reading, floor_findings, floor_of, probe_for, read, trouble
from calibration.reception import whole
from calibration.rig import Rig
from calibration.step import Known
from radio.palette import SERIES
from radio.pictures import MOST_COLOURS, Picture

SIGMAS = 5.0  # an offset beyond this many standard errors is one
SAME_HZ = 0.1  # and beyond this: half a turn takes 5 s
CHANNEL_HZ = 5.0  # below it, it may be the channel that moves: somebody walking is 3 Hz at 915 MHz
MOST_DRIFT_PPM_PER_S = 0.1


@dataclass
class Carrier:
    """Offset and drift of every carrier against the receiver's.

    samples  of each device's tone
    """

    samples: int = 1 << 16
    name = "carrier"
    about = "carrier offset and drift of each device; whether the clocks are shared"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        probe, floor = probe_for(rig), floor_of(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        fits: list[CarrierFit | None] = []
        at_s: list[float] = []
        for device, name in enumerate(rig.names):
            fit, problem = self._measure(rig, device, probe, floor)
            fits.append(fit)
            at_s.append(rig.now_s - 0.5 * self.samples / rig.rate_sps)
            if problem:
                findings.append(problem)
            if fit is not None:
                findings += self._judged(rig, name, fit)
        clocks, shared = self._clocks(rig, fits)
        return Outcome(
            (*clocks, *findings),
            _facts(rig.names, fits, at_s, shared),
            _pictures(rig.names, fits),
            {f"phase_{k}": fit.phases_rad for k, fit in enumerate(fits) if fit is not None},
        )

    def _measure(self, rig: Rig, device: int, probe: Probe, floor: Floor) -> tuple[CarrierFit | None, Finding | None]:
        name = rig.names[device]
        samples = whole(lambda: rig.hear({device: probe.wave()}, self.samples, cycles_per_sample=probe.cycles))
        if samples is None:
            return None, trouble(self.name, name, "lost")
        reading = read(
            samples,
            probe,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            noise_variance=floor.noise_variance,
            offset_max_hz=rig.offset_max_hz,
        )
        if not reading.usable:
            return None, trouble(self.name, name, reading.problem)
        if _foreign(reading, probe, floor, rig.rate_sps):
            advice = "what is heard where its tone should be is there while it is silent, too: choose another frequency (step "
            advice += "environment), then check the device's antenna or cable and its transmit_gain_db"
            return None, Finding(self.name, name, "not heard", verdict="fail", advice=advice)
        fit = fit_carrier(
            samples,
            probe.cycles + reading.offset_hz / rig.rate_sps,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            tone_hz=probe.cycles * rig.rate_sps,
            noise_variance=floor.noise_variance,
        )
        return fit, trouble(self.name, name, reading.problem) if reading.problem else None

    def _judged(self, rig: Rig, name: str, fit: CarrierFit) -> list[Finding]:
        most = rig.offset_max_hz
        fastest = MOST_DRIFT_PPM_PER_S * 1e-6 * rig.lo_hz
        return [
            Finding.judged(
                self.name,
                name,
                "carrier offset",
                Estimate(fit.offset_hz, fit.offset_error_hz, "Hz"),
                Limit(-most, most),
                "farther off than two crystals of this station can be: check xo_correction of this unit and of the receiver",
            ),
            Finding.judged(
                self.name,
                name,
                "carrier drift",
                Estimate(fit.drift_hz_per_s, fit.drift_error, "Hz/s"),
                Limit(-fastest, fastest),
                "let the radios warm up for 15 to 30 minutes, out of draughts, then look again (--steps drift)",
            ),
        ]

    def _clocks(self, rig: Rig, fits: Sequence[CarrierFit | None]) -> tuple[list[Finding], bool | None]:
        """What is to be said of the clocks, and whether one reference feeds all radios; None: not known."""
        heard = {name: fit for name, fit in zip(rig.names, fits, strict=True) if fit is not None}
        apart = {name: fit for name, fit in heard.items() if _apart(fit) and abs(fit.offset_hz) > CHANNEL_HZ}
        if not heard:
            return [], None
        if not rig.shared_clock:
            if apart:
                return [], False
            note = 'all carriers agree with the receiver\'s: if one reference feeds all radios, set clock = "shared", which '
            note += "coherent mode needs"
            return [Finding(self.name, "receiver", "clocks look shared", advice=note)], len(heard) == len(fits)
        if not apart:
            moving = [self._moving(name, fit) for name, fit in heard.items() if _apart(fit)]
            return [Finding(self.name, "receiver", "clocks are shared"), *moving], len(heard) == len(fits)
        offsets = [fit.offset_hz for fit in apart.values()]
        remedy = (
            'check the reference at its clock input and its level; without one, set clock = "free" and use mode energy'
        )
        if len(apart) == len(heard) > 1 and max(offsets) - min(offsets) < CHANNEL_HZ:
            text = f"all devices agree with each other, the receiver does not: {remedy}"
            return [Finding(self.name, "receiver", "clock is not the others'", verdict="fail", advice=text)], False
        return [
            Finding(
                self.name,
                name,
                "clock is not shared",
                Estimate(fit.offset_hz, fit.offset_error_hz, "Hz"),
                Limit(-CHANNEL_HZ, CHANNEL_HZ),
                "fail",
                remedy,
            )
            for name, fit in apart.items()
        ], False

    def _moving(self, name: str, fit: CarrierFit) -> Finding:
        estimate, limit = Estimate(fit.offset_hz, fit.offset_error_hz, "Hz"), Limit(-SAME_HZ, SAME_HZ)
        advice = "too little for another clock: the channel moves (people, loose cables), or the reference is weak; "
        advice += "the step channel tells how long coherent mode may count on it"
        return Finding(self.name, name, "carrier that moves", estimate, limit, "warn", advice)


def _apart(fit: CarrierFit) -> bool:
    return abs(fit.offset_hz) > max(SIGMAS * fit.offset_error_hz, SAME_HZ)


def _foreign(reading: Reading, probe: Probe, floor: Floor, rate_sps: float) -> bool:
    """Whether the tone that was found is a line that was there before, no weaker."""
    if floor.line_hz is None:
        return False
    same = abs(probe.cycles * rate_sps + reading.offset_hz - floor.line_hz) < 2.0 * rate_sps / probe.window
    return same and 20.0 * math.log10(max(reading.level, 1e-10)) < floor.line_dbfs + 3.0


def _facts(
    names: Sequence[str], fits: Sequence[CarrierFit | None], at_s: Sequence[float], shared: bool | None
) -> dict[str, Any]:
    """Of each device, nothing but its name where it was not heard. `at_s`: when, on the clock of `Rig.now_s`."""

    device: list[dict[str, Any]] = []
    for name, fit, at in zip(names, fits, at_s, strict=True):
        one: dict[str, Any] = {"name": name}
        if fit is not None:
            one |= {
                "offset_hz": fit.offset_hz,
                "offset_error_hz": fit.offset_error_hz,
                "drift_hz_per_s": fit.drift_hz_per_s,
                "drift_error_hz_per_s": fit.drift_error,
                "steadiness_rad": fit.steadiness_rad,
                "at_s": at,
            }
        device.append(one)
    return {"device": device} if shared is None else {"shared": shared, "device": device}


def _pictures(names: Sequence[str], fits: Sequence[CarrierFit | None]) -> tuple[Picture, ...]:
    shown = [(name, fit) for name, fit in zip(names, fits, strict=True) if fit is not None]
    if not shown:
        return ()
    offsets = [fit.offset_hz for _, fit in shown]
    title = f"Carriers: {min(offsets):+,.1f} to {max(offsets):+,.1f} Hz from the receiver's.".replace("-", "\u2212")

    def draw(axes: Axes) -> None:
        for index, (name, fit) in enumerate(shown[:MOST_COLOURS]):
            axes.plot(1e3 * fit.times_s, [math.degrees(x) for x in fit.phases_rad], ".-", markersize=3, linewidth=0.8,
                      color=SERIES[index], label=f"{name.split(' ')[0]}: {fit.offset_hz:+.2f} Hz")  # fmt: skip
        axes.set(xlabel="time (ms)", ylabel="phase without the offset (degrees)")
        axes.legend(loc="best", ncols=2)

    caption = "A parabola is drift; what is left of it is noise, and the oscillators' phase noise."
    return (Picture("carrier", title, caption, draw),)
