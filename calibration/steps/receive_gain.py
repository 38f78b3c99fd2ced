"""Step: the receiver's gain, by what all devices together may do to its ADC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import Probe, Reading, floor_findings, floor_of, probe_for, read, trouble
from calibration.reception import whole
from calibration.rig import Rig
from calibration.step import Known
from radio.errors import InputError
from radio.palette import BLUE, INK, ORANGE
from radio.pictures import Picture
from radio.pilot import saturated_fraction

TARGET_DBFS = -12.0  # of the largest sum: pluto.md section 4
ROOM = Limit(low=-36.0, high=0.0)  # beyond it the ADC clips, or has lost four bits
GOOD = Limit(low=-24.0, high=-6.0)
CREST = 5.0  # noise peak over its standard deviation in one rail (6e-7 a sample)
BACK_DB = 10.0  # by which the gain is lowered for a measurement that saturates, at most `TIMES` times
TIMES = 5


@dataclass
class ReceiveGain:
    """Levels of the devices one by one and all at once, the largest sum that they can make, and the gain that suits it.

    Phases of devices are random from round to round, so sooner or later all are in phase: the largest sum is that of the
    levels. Coherent mode brings it about on purpose.

    samples  of each reception
    """

    samples: int = 1 << 14
    name = "receive_gain"
    about = "levels of all devices together in the receiver's ADC"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        present_db = rig.receiver.receive_gain_db
        try:
            return self._run(rig, present_db)
        finally:
            if rig.receiver.receive_gain_db != present_db:
                rig.receiver.receive_gain_db = present_db

    def _run(self, rig: Rig, present_db: float) -> Outcome:
        probe = probe_for(rig)
        lowered_db, readings, findings, noise = self._levels(rig, probe, present_db)
        heard = {k: one for k, one in enumerate(readings) if one.usable}
        if not heard:
            return Outcome(tuple(findings))
        scale = 10.0 ** (lowered_db / 20.0)  # back to the present gain
        levels = {k: one.level * scale for k, one in heard.items()}
        error = scale * math.sqrt(sum(one.standard_error**2 for one in heard.values()))
        total = sum(levels.values())
        crest = CREST * math.sqrt(noise / 2.0) * scale
        sum_db = Estimate(20.0 * math.log10(total), 20.0 / math.log(10.0) * error / total, "dBFS")
        peak_db = 20.0 * math.log10(total + crest)
        wanted_db = math.floor(present_db + TARGET_DBFS - peak_db)
        rig.receiver.receive_gain_db = present_db
        saturated = self._together(rig, probe, heard, findings, "at the present gain")
        best_db = _nearest(rig, wanted_db, present_db)
        if best_db != present_db and self._together(rig, probe, heard, [], "") > 0.0:
            advice = "something else is on the air (step environment), or put an attenuator before it"
            text = f"saturates at {best_db:g} dB too"
            findings.append(Finding(self.name, "receiver", text, verdict="fail", advice=advice))
        findings.insert(0, self._judged(sum_db, peak_db, present_db, best_db, wanted_db))
        each = [20.0 * math.log10(levels[k]) if k in levels else math.nan for k in range(rig.devices)]
        facts = {
            "receive_gain_db": present_db,
            "recommended_gain_db": best_db,
            "device": [
                {"name": name, **({} if math.isnan(level) else {"level_dbfs": level})}
                for name, level in zip(rig.names, each, strict=True)
            ],
            "sum_dbfs": sum_db.value,
            "sum_error_db": sum_db.standard_error,
            "peak_dbfs": peak_db,
            "saturated": saturated,
        }
        return Outcome(tuple(findings), facts, (_picture(rig.names, each, peak_db, present_db, best_db),))

    def _levels(self, rig: Rig, probe: Probe, present_db: float) -> tuple[float, list[Reading], list[Finding], float]:
        """By how much the gain was lowered so that nothing saturates, the levels then, findings, noise variance then."""
        first: list[Finding] = []
        for step in range(TIMES + 1):
            floor = floor_of(rig)
            readings = [self._read(rig, probe, k, floor.noise_variance) for k in range(rig.devices)]
            problems = [trouble(self.name, rig.names[k], one.problem) for k, one in enumerate(readings) if one.problem]
            saturated = floor.problem == "saturated" or any(one.problem == "saturated" for one in readings)
            findings = [*floor_findings(self.name, floor), *problems]
            if step == 0:
                first = [finding for finding in findings if "saturated" in finding.quantity]
            lowered_db = present_db - rig.receiver.receive_gain_db
            if not saturated:
                break
            try:
                rig.receiver.receive_gain_db = present_db - BACK_DB * (step + 1)
            except InputError:  # below what the unit has
                break
        kept = [finding for finding in findings if finding not in first]
        return lowered_db, readings, [*first, *kept], floor.noise_variance

    def _read(self, rig: Rig, probe: Probe, device: int, noise_variance: float) -> Reading:
        samples = whole(lambda: rig.hear({device: probe.wave()}, self.samples, cycles_per_sample=probe.cycles))
        if samples is None:
            return Reading("lost")
        if not math.isfinite(noise_variance):
            noise_variance = float(np.median(np.abs(np.fft.fft(samples)) ** 2)) / samples.size / math.log(2.0)
        return read(
            samples,
            probe,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            noise_variance=noise_variance,
            offset_max_hz=rig.offset_max_hz,
        )

    def _together(self, rig: Rig, probe: Probe, heard: dict[int, Reading], findings: list[Finding], when: str) -> float:
        """Share of the samples that saturate while all that are heard send at once; a finding where there are any."""
        waves: dict[int, NDArray[np.complex128]] = {k: probe.wave() for k in heard}
        samples = whole(lambda: rig.hear(waves, self.samples, label="all on"))
        share = 0.0 if samples is None else saturated_fraction(samples)
        if share > 0.0:
            advice = "lower receive_gain_db as recommended; until then sums of these devices are clipped"
            findings.append(
                Finding(self.name, "receiver", f"saturates with all devices on {when}", verdict="fail", advice=advice)
            )
        return share

    def _judged(self, total: Estimate, peak_db: float, present_db: float, best_db: float, wanted_db: float) -> Finding:
        if best_db == wanted_db:
            advice = f"set receive_gain_db = {best_db:g} (now {present_db:.4g}): the largest peak then is {TARGET_DBFS:g} dBFS"
        elif wanted_db < best_db:
            excess = best_db - wanted_db
            advice = f"the unit's least gain, {best_db:g} dB, is {excess:g} dB too much: attenuators, or less transmit_gain_db"
        else:
            lack = wanted_db - best_db
            advice = f"the unit's largest gain, {best_db:g} dB, is {lack:g} dB too little: more transmit_gain_db, or less loss"
        made = Finding.judged(self.name, "receiver", "all devices in phase", total, ROOM, advice)
        if made.verdict != "fail" and GOOD.judge(replace(total, value=peak_db)) == "fail":
            made = replace(made, verdict="warn", advice=advice)
        return made


def _nearest(rig: Rig, wanted_db: float, present_db: float) -> float:
    """The gain nearest to the wanted one that the receiver takes, going back towards the present one; it is set."""
    step = 1.0 if wanted_db < present_db else -1.0
    gain_db = wanted_db
    while (present_db - gain_db) * step > 0.0:
        try:
            rig.receiver.receive_gain_db = gain_db
        except InputError:
            gain_db += step
        else:
            return gain_db
    rig.receiver.receive_gain_db = present_db
    return present_db


def _picture(
    names: Sequence[str], levels: Sequence[float], peak_db: float, present_db: float, best_db: float
) -> Picture:
    title = (
        f"All devices in phase would peak at {peak_db:.1f}\u00a0dBFS at a gain of {present_db:.4g}\u00a0dB.".replace(
            "-", "\u2212"
        )
    )

    def draw(axes: Axes) -> None:
        places = np.arange(len(levels) + 1)
        values = np.array([*levels, peak_db])
        axes.vlines(places, -80.0, values, color=[BLUE] * len(levels) + [ORANGE], linewidth=8.0)
        axes.axhline(0.0, color=INK, linewidth=1.0)
        axes.axhline(TARGET_DBFS, color=INK, linewidth=0.8, linestyle="--", label="target of the peak")
        axes.set_xticks(places, [*(name.split(" ")[0] for name in names), "all"])
        axes.set_ylim(min(-50.0, float(np.nanmin(values)) - 5.0), max(6.0, float(np.nanmax(values)) + 3.0))
        axes.set_ylabel("level (dBFS)")
        axes.legend(loc="lower right")

    caption = f"Levels one by one; all: their sum and the noise's peaks. Recommended gain: {best_db:g} dB."
    return Picture("receive_gain", title, caption, draw)
