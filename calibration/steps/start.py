"""Step: how late transmissions begin, and whether the guard time that everything rests on is long enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.lateness import lateness
from calibration.onset import TAIL, find_onset
from calibration.probe import MOST_SATURATED, Floor, Probe, floor_findings, floor_of, probe_for, trouble
from calibration.rig import Rig
from calibration.step import Known
from radio.cell import EDGE_SAMPLES
from radio.palette import INK, SERIES
from radio.pictures import Picture
from radio.pilot import saturated_fraction

BEYOND = 1.5  # of the guard time that is listened to
DOUBT = 3.0  # standard errors by which a start must be too late
SPARE = 1.2  # over the latest start, in what is recommended


@dataclass
class _Starts:
    """Of one device, seconds. `lags_s` from the first sample of a reception, which is what the guard time must cover;
    `latencies_s` from the end of the reception before, within microseconds of the call on a computer that is quick."""

    lags_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    lag_errors_s: list[float] = field(default_factory=list)
    latency_errors_s: list[float] = field(default_factory=list)
    missing: int = 0
    lost: int = 0
    saturated: bool = False


@dataclass
class Start:
    """Latency of transmissions, its spread, and the latest one.

    repeats  starts of each device
    """

    repeats: int = 16
    name = "start"
    about = "start-time jitter and latency of each device"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        probe, floor = probe_for(rig), floor_of(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        devices = [_Starts() for _ in rig.names]
        for _ in range(self.repeats):
            for device, starts in enumerate(devices):
                self._once(rig, device, probe, floor, starts)
        guard_s = max(rig.guard_samples, EDGE_SAMPLES) / rig.rate_sps
        facts: list[dict[str, Any]] = []
        for name, starts in zip(rig.names, devices, strict=True):
            found, fact = self._judged(name, starts, guard_s)
            findings += found
            facts.append(fact)
        latest = [one["latest_s"] for one in facts if "latest_s" in one]
        summary: dict[str, Any] = {"device": facts, "guard_s": guard_s}
        if latest:
            summary["recommended_start_lag_s"] = math.ceil(1e3 * SPARE * max(latest)) / 1e3
        return Outcome(
            tuple(findings),
            summary,
            _pictures(rig.names, devices, guard_s),
            {f"lag_s_{k}": np.array(starts.lags_s) for k, starts in enumerate(devices)},
        )

    def _once(self, rig: Rig, device: int, probe: Probe, floor: Floor, starts: _Starts) -> None:
        n = math.ceil(BEYOND * rig.guard_samples) + 2 * TAIL
        before_s = rig.now_s
        with rig.on_air({device: probe.wave()}):
            samples = rig.more(n, "start", device=device)
        if not np.isfinite(samples).all():
            starts.lost += 1
            return
        starts.saturated |= saturated_fraction(samples) > MOST_SATURATED
        onset = find_onset(
            samples - floor.dc,
            probe.cycles,
            rate_sps=rig.rate_sps,
            noise_variance=floor.noise_variance,
            offset_max_hz=rig.offset_max_hz,
        )
        if onset is None:
            starts.missing += 1
            return
        error_s = onset.standard_error / rig.rate_sps
        began_s = rig.now_s - n / rig.rate_sps - before_s  # of the reception, after the one before
        starts.lags_s.append(onset.sample / rig.rate_sps)
        starts.lag_errors_s.append(error_s)
        # On from the first sample: it began at any time since the call.
        early = onset.sample == 0 and began_s > 0.0
        starts.latencies_s.append(0.5 * began_s if early else began_s + onset.sample / rig.rate_sps)
        starts.latency_errors_s.append(began_s / math.sqrt(12.0) if early else error_s)

    def _judged(self, name: str, starts: _Starts, guard_s: float) -> tuple[list[Finding], dict[str, Any]]:
        fact: dict[str, Any] = {"name": name}
        heard = len(starts.lags_s)
        findings = [trouble(self.name, name, "saturated")] if starts.saturated else []
        if not heard and starts.missing:
            return [*findings, trouble(self.name, name, "silent")], fact
        if starts.missing:
            text = f"{starts.missing} of {heard + starts.missing} starts long after the guard time"
            findings.append(Finding(self.name, name, text, verdict="fail", advice=_advice(2.0 * guard_s)))
        if heard < 3:
            return [*findings, trouble(self.name, name, "lost")], fact
        lag = lateness(starts.lags_s, starts.lag_errors_s)
        latency = lateness(starts.latencies_s, starts.latency_errors_s)
        own = _ms(Estimate(lag.latest_seen, float(np.max(starts.lag_errors_s)), "s"))
        limit = Limit(high=1e3 * guard_s)
        late = own.value - DOUBT * own.standard_error > 1e3 * guard_s
        advice = _advice(SPARE * lag.latest.value) if late else ""
        findings += [
            Finding(self.name, name, "latency of a start", _ms(latency.mean)),
            Finding(self.name, name, "jitter of a start", _ms(latency.spread)),
            Finding(self.name, name, f"latest of {heard} starts", own, limit, "fail" if late else "pass", advice),
        ]
        fact |= {
            "latency_s": latency.mean.value,
            "latency_error_s": latency.mean.standard_error,
            "jitter_s": latency.spread.value,
            "jitter_error_s": latency.spread.standard_error,
            "latest_seen_s": lag.latest_seen,
            "latest_s": lag.latest.value,
            "latest_error_s": lag.latest.standard_error,
            "starts": heard,
            "enough": not late and not starts.missing,
        }
        return findings, fact


def _ms(estimate: Estimate) -> Estimate:
    return Estimate(1e3 * estimate.value, 1e3 * estimate.standard_error, "ms")


def _advice(start_lag_s: float) -> str:
    lag = math.ceil(1e3 * start_lag_s) / 1e3
    return (
        f"what begins after the guard time spoils the slot: set start_lag_s = {lag:g} in [station], or take load off this "
        "computer and its USB hubs"
    )


def _pictures(names: Sequence[str], devices: Sequence[_Starts], guard_s: float) -> tuple[Picture, ...]:
    if not any(starts.lags_s for starts in devices):
        return ()
    latest = max(max(starts.lags_s, default=0.0) for starts in devices)
    title = f"Starts: the latest is {1e3 * latest:.3g} ms late, the guard time is {1e3 * guard_s:.3g} ms."

    def draw(axes: Axes) -> None:
        for row, starts in enumerate(devices):
            axes.plot(1e3 * np.array(starts.lags_s), np.full(len(starts.lags_s), row), "|", markersize=14,
                      markeredgewidth=1.2, color=SERIES[row % len(SERIES)])  # fmt: skip
        axes.axvline(1e3 * guard_s, color=INK, linewidth=0.9, linestyle="--", label="guard time")
        axes.set_yticks(np.arange(len(devices)), [name.split(" ")[0] for name in names])
        axes.set_ylim(len(devices) - 0.5, -0.5)
        axes.set_xlim(left=min(-0.02 * guard_s * 1e3, 0.0))
        axes.set_xlabel("start after the first sample that is received (ms)")
        axes.legend(loc="best")

    return (Picture("start", title, "Each mark is one start; at 0 it was on the air already.", draw),)
