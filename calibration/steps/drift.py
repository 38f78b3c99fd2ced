"""Step: how the carriers move over minutes. Long, and done only where it is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from calibration.allan import Allan, allan
from calibration.carrier_fit import fit_carrier
from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import Floor, Probe, floor_findings, floor_of, probe_for, read, trouble
from calibration.rig import Rig
from calibration.step import Known
from calibration.steps.carrier import MOST_DRIFT_PPM_PER_S
from calibration.trend import regress, slope
from radio.palette import SERIES
from radio.pictures import MOST_COLOURS, Picture

LEAST_POINTS = 12
MOST_MISSING = 0.1
WARMER_C = 0.5  # a temperature that moves by less tells nothing


@dataclass
class _Watch:
    """One device: (M,) times, offsets and their errors, NaN where it was not heard; (M, 2) its temperature and the receiver's."""

    times_s: list[float]
    offsets_hz: list[float]
    errors_hz: list[float]
    temperatures_c: list[tuple[float, float]]
    problem: str = ""

    @property
    def heard(self) -> NDArray[np.bool_]:
        return np.isfinite(np.array(self.offsets_hz))


@dataclass
class Drift:
    """Offsets of all carriers at even intervals: drift, Allan deviation, warm-up, and what a degree does.

    duration_s, interval_s  of the whole, and from one look at all devices to the next
    samples                 of each device's tone
    """

    duration_s: float = 600.0
    interval_s: float = 10.0
    samples: int = 1 << 15
    name = "drift"
    about = "carrier drift and Allan deviation over minutes; long"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        probe, floor = probe_for(rig), floor_of(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        watches = [_Watch([], [], [], []) for _ in rig.names]
        points = max(LEAST_POINTS, math.floor(self.duration_s / self.interval_s) + 1)
        begin_s = rig.now_s
        rig.say(f"drift: {points} looks at {rig.devices} devices, {self.interval_s:g} s apart")
        for point in range(points):
            if point:
                rig.wait(max(0.0, begin_s + point * self.interval_s - rig.now_s))
            for device, watch in enumerate(watches):
                self._look(rig, device, probe, floor, watch)
            about = rig.facts()
            for device, watch in enumerate(watches):
                watch.temperatures_c.append((_temperature(about, device), _temperature(about, None)))
        facts: list[dict[str, Any]] = []
        deviations: dict[str, Allan] = {}
        for name, watch in zip(rig.names, watches, strict=True):
            found, fact, deviation = self._judged(rig, name, watch)
            findings += found
            facts.append(fact)
            if deviation is not None:
                deviations[name] = deviation
        series = {
            f"{key}_{k}": np.array(values)
            for k, watch in enumerate(watches)
            for key, values in (
                ("times_s", watch.times_s),
                ("offsets_hz", watch.offsets_hz),
                ("errors_hz", watch.errors_hz),
            )
        }
        return Outcome(tuple(findings), {"device": facts}, _pictures(rig.names, watches, deviations), series)

    def _look(self, rig: Rig, device: int, probe: Probe, floor: Floor, watch: _Watch) -> None:
        samples = rig.hear({device: probe.wave()}, self.samples, cycles_per_sample=probe.cycles)
        watch.times_s.append(rig.now_s - 0.5 * self.samples / rig.rate_sps)
        reading = read(
            samples,
            probe,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            noise_variance=floor.noise_variance,
            offset_max_hz=rig.offset_max_hz,
        )
        if not reading.usable:
            watch.problem = reading.problem
            watch.offsets_hz.append(math.nan)
            watch.errors_hz.append(math.nan)
            return
        fit = fit_carrier(
            samples,
            probe.cycles + reading.offset_hz / rig.rate_sps,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            tone_hz=probe.cycles * rig.rate_sps,
            noise_variance=floor.noise_variance,
        )
        watch.offsets_hz.append(fit.offset_hz)
        watch.errors_hz.append(fit.offset_error_hz)

    def _judged(self, rig: Rig, name: str, watch: _Watch) -> tuple[list[Finding], dict[str, Any], Allan | None]:
        heard, fact = watch.heard, {"name": name}
        missing = 1.0 - float(heard.mean())
        if heard.sum() < LEAST_POINTS:
            return [trouble(self.name, name, watch.problem or "lost")], fact, None
        t, y = np.array(watch.times_s)[heard], np.array(watch.offsets_hz)[heard]
        third = t.size // 3
        whole = slope(t, y)
        first, last = slope(t[:third], y[:third]), slope(t[-third:], y[-third:])
        most = MOST_DRIFT_PPM_PER_S * 1e-6 * rig.lo_hz
        advice = _warm_up(first, last, float(t[-third:].mean() - t[:third].mean()), most)
        now = Finding.judged(self.name, name, "drift at the end", Estimate(*last, "Hz/s"), Limit(-most, most), advice)
        findings = [
            Finding(self.name, name, "drift over all", Estimate(*whole, "Hz/s")),
            now if now.advice or not _slower(first, last) else Finding(
                self.name, name, now.quantity, now.estimate, now.limit, now.verdict, advice
            ),
        ]  # fmt: skip
        if missing > 0.0:
            text = f"not heard in {missing:.0%} of the looks"
            lost = trouble(self.name, name, watch.problem)
            findings.append(Finding(self.name, name, text, verdict="warn", advice=lost.advice))
        result: dict[str, Any] = {
            **fact,
            "drift_hz_per_s": whole[0],
            "drift_error_hz_per_s": whole[1],
            "drift_at_end_hz_per_s": last[0],
            "drift_at_end_error_hz_per_s": last[1],
            "lowest_hz": float(y.min()),
            "highest_hz": float(y.max()),
        }
        found, more = self._by_temperature(name, y, np.array(watch.temperatures_c)[heard])
        findings += found
        deviation = None
        if missing <= MOST_MISSING:
            deviation = self._allan(rig, watch)
            result |= {
                "tau_s": deviation.tau_s.tolist(),
                "allan_deviation": deviation.deviation.tolist(),
                "allan_low": deviation.low.tolist(),
                "allan_high": deviation.high.tolist(),
            }
            findings.append(
                Finding(self.name, name, f"Allan deviation at {deviation.tau_s[0]:.3g} s",
                        Estimate(1e9 * deviation.deviation[0], 1e9 * (deviation.high[0] - deviation.low[0]) / 3.92, "ppb"))
            )  # fmt: skip
        return findings, result | more, deviation

    def _allan(self, rig: Rig, watch: _Watch) -> Allan:
        """Of what a straight line leaves: the line is stated as the drift. A look that failed takes its neighbours' mean."""
        t, y, heard = np.array(watch.times_s), np.array(watch.offsets_hz), watch.heard
        y = np.interp(t, t[heard], y[heard])
        y = y - np.polyval(np.polyfit(t - t[0], y, 1), t - t[0])
        return allan(y / rig.lo_hz, float(np.median(np.diff(t))))

    def _by_temperature(
        self, name: str, y: NDArray[np.float64], temperatures_c: NDArray[np.float64]
    ) -> tuple[list[Finding], dict[str, Any]]:
        """What a degree of the device's own temperature does, the receiver's accounted for."""
        if not np.isfinite(temperatures_c).all() or np.ptp(temperatures_c[:, 0]) < WARMER_C:
            return [], {}
        coefficients, errors = regress(y, temperatures_c)
        found = Estimate(float(coefficients[0]), float(errors[0]), "Hz per degree")
        facts = {"hz_per_c": found.value, "hz_per_c_error": found.standard_error}
        return [Finding(self.name, name, "carrier by its temperature", found)], facts


def _slower(first: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the drift has clearly become less from the first third of the time to the last."""
    return abs(first[0]) - abs(last[0]) > 3.0 * math.hypot(first[1], last[1]) and abs(first[0]) > 1.5 * abs(last[0])


def _warm_up(first: tuple[float, float], last: tuple[float, float], apart_s: float, most: float) -> str:
    """A crystal that approaches its temperature drifts exponentially less: two slopes `apart_s` apart tell how soon."""
    if not _slower(first, last):
        if abs(last[0]) <= most:
            return "look longer (--steps drift), so that the interval gets narrower"
        return "the drift does not become less: keep draughts, sun and fans off the radios, and check their supply"
    constant_s = apart_s / math.log(abs(first[0]) / max(abs(last[0]), last[1], 1e-12))
    if abs(last[0]) <= most:
        return f"it is still warming up, with a time constant of about {constant_s / 60.0:.2g} minutes; the drift is small enough"
    left_s = constant_s * math.log(abs(last[0]) / most)
    return f"it is still warming up: wait about {max(1.0, left_s / 60.0):.2g} minutes more before you calibrate or run"


def _temperature(facts: Mapping[str, Any], device: int | None) -> float:
    """Degrees Celsius of a device's transceiver, or the receiver's; NaN where it tells none."""
    try:
        unit = facts["receiver"] if device is None else facts["devices"][device]
        return float(unit["temperatures_c"]["transceiver"])
    except (KeyError, IndexError):
        return math.nan


def _pictures(names: Sequence[str], watches: Sequence[_Watch], deviations: Mapping[str, Allan]) -> tuple[Picture, ...]:
    shown = [(name.split(" ")[0], w) for name, w in zip(names, watches, strict=True) if w.heard.any()][:MOST_COLOURS]
    if not shown:
        return ()
    ranges = [float(np.nanmax(w.offsets_hz) - np.nanmin(w.offsets_hz)) for _, w in shown]
    liveliest = f"{max(ranges):,.0f}" if max(ranges) >= 100.0 else f"{max(ranges):.3g}"
    title = f"Carriers over time: the liveliest moves by {liveliest} Hz."

    def draw(axes: Axes) -> None:
        for index, (name, watch) in enumerate(shown):
            t, y = np.array(watch.times_s), np.array(watch.offsets_hz)
            axes.plot(t - watch.times_s[0], y - y[watch.heard][0], ".-", markersize=3.5, linewidth=0.9, color=SERIES[index],
                      label=name)  # fmt: skip
        axes.set(xlabel="time (s)", ylabel="offset against the first (Hz)")
        axes.legend(loc="best", ncols=2)

    pictures = [Picture("drift", title, "Offsets of the carriers from the receiver's, less the first of each.", draw)]
    if deviations:
        pictures.append(_deviations(deviations))
    return tuple(pictures)


def _deviations(deviations: Mapping[str, Allan]) -> Picture:
    lowest = min(float(one.deviation.min()) for one in deviations.values())

    def draw(axes: Axes) -> None:
        for index, (name, one) in enumerate(list(deviations.items())[:MOST_COLOURS]):
            errors = np.maximum([one.deviation - one.low, one.high - one.deviation], 0.0)
            axes.errorbar(one.tau_s * 1.02**index, one.deviation, errors, fmt=".-", linewidth=0.9, capsize=2,
                          color=SERIES[index], label=name.split(" ")[0])  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\u2212")))
            axis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="averaging time (s)", ylabel="Allan deviation")
        axes.legend(loc="best", ncols=2)

    title = f"Allan deviation: {lowest:.1e} at best."
    return Picture("allan", title, "Overlapping, a straight drift taken off; bars are 95 % intervals.", draw)
