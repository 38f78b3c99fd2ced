"""Step: what is in the air while nobody of ours sends, here and on the other frequencies that the permit allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import trouble
from calibration.reception import whole
from calibration.rig import PAUSE_S, Rig
from calibration.spectrum import POINTS, Line, Spectrum, observe
from calibration.step import Known
from radio.errors import InputError
from radio.palette import BLUE, INK, MUTED, ORANGE
from radio.pictures import Picture, dbfs
from radio.pilot import saturated_fraction

MOST_FOREIGN_DB = 0.5  # by which all that is foreign may raise the channel's power before another frequency is worth it
MOST_BURSTS = 0.05  # of the time
MOST_SATURATED = 1e-6


@dataclass
class Environment:
    """Noise floor and occupied spectrum of every channel, and the choice of a clean one. Nothing is sent.

    samples     listened to at the present frequency; a quarter of it on each other one
    channels    how many frequencies are looked at, at most; they lie evenly in the permit's band
    """

    samples: int = 1 << 17
    channels: int = 9
    name = "environment"
    about = "noise floor and occupied spectrum, everybody silent"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        heard = whole(lambda: rig.idle(self.samples))
        if heard is None:
            return Outcome((trouble(self.name, "receiver", "lost"),))
        here = observe(heard, rig.rate_sps)
        spectra = {rig.lo_hz: here, **self._scan(rig)}
        best = choice(spectra, rig.lo_hz)
        findings = [self._floor(here), *self._foreign(rig, here, best), *self._bursts(here)]
        saturated = saturated_fraction(heard)
        if saturated > MOST_SATURATED:
            advice = "lower receive_gain_db, or keep the source of the interference away (a filter, another place)"
            findings.insert(0, Finding(self.name, "receiver", "saturated by others", verdict="fail", advice=advice))
        return Outcome(
            tuple(findings),
            _facts(spectra, rig, best),
            tuple(_pictures(spectra, rig.lo_hz, best)),
            {"frequency_hz": here.frequency_hz, "power": here.power},
        )

    def _scan(self, rig: Rig) -> dict[float, Spectrum]:
        """Of the other channels. Only the receiver is tuned, and tuned back."""
        home, found = rig.lo_hz, {}
        try:
            for lo_hz in candidates(rig, self.channels):
                try:
                    rig.receiver.lo_hz = lo_hz
                except InputError as error:  # beyond what the unit can be tuned to
                    rig.say(f"{lo_hz / 1e6:g} MHz is left out: {error}")
                    continue
                rig.wait(PAUSE_S)
                samples = whole(lambda: rig.idle(self.samples // 4))
                if samples is not None:
                    found[lo_hz] = observe(samples, rig.rate_sps)
        finally:
            if rig.lo_hz != home:
                rig.receiver.lo_hz = home
                rig.wait(PAUSE_S)
        return found

    def _floor(self, here: Spectrum) -> Finding:
        floor = Estimate(10.0 * math.log10(here.floor), here.floor_error_db, "dBFS")
        return Finding(self.name, "receiver", "noise floor", floor)

    def _foreign(self, rig: Rig, here: Spectrum, best_hz: float) -> list[Finding]:
        findings = []
        limit = Limit(high=MOST_FOREIGN_DB)
        error = 10.0 / math.log(10.0) * 1.4 / math.sqrt(self.samples) + here.floor_error_db
        total = Estimate(here.disturbed_db, error, "dB")
        loud = limit.judge(total) == "fail"
        for line in here.lines[:5]:
            level = Estimate(
                10.0 * math.log10(line.power), 10.0 / math.log(10.0) * line.standard_error / line.power, "dBFS"
            )
            findings.append(
                Finding(
                    self.name,
                    "receiver",
                    f"interference at {_where(rig.lo_hz, line)}",
                    level,
                    verdict="fail" if loud and line is here.lines[0] else "warn",
                    advice=_advice(rig, line, best_hz),
                )
            )
        if loud and not here.lines and here.bursts <= MOST_BURSTS:
            findings.append(Finding.judged(self.name, "receiver", "power above the noise floor", total, limit,
                                           "the channel is not white: look at its spectrum"))  # fmt: skip
        if not here.lines:
            findings.append(Finding(self.name, "receiver", "no interference found"))
        return findings

    def _bursts(self, here: Spectrum) -> list[Finding]:
        if here.bursts == 0.0:
            return []
        share = Estimate(here.bursts, here.bursts_error, "of the time")
        advice = "somebody sends in bursts: longer windows average over them, or take another frequency"
        return [Finding.judged(self.name, "receiver", "bursts of others", share, Limit(high=MOST_BURSTS), advice)]


def candidates(rig: Rig, most: int) -> list[float]:
    """Frequencies in the permit's band at which the whole signal lies in it, but for the present one and its neighbours."""
    if rig.band_hz is None:
        return []
    low, high = rig.band_hz[0] + rig.rate_sps / 2.0, rig.band_hz[1] - rig.rate_sps / 2.0
    if high < low:
        return []
    count = min(most, 1 + math.floor((high - low) / rig.rate_sps))
    places = [float(round(place)) for place in np.linspace(low, high, count)]
    return [place for place in places if abs(place - rig.lo_hz) >= rig.rate_sps / 2.0]


def choice(spectra: dict[float, Spectrum], present_hz: float) -> float:
    """The LO at which least is heard; the present one, unless something foreign is there and another has clearly less."""
    present = spectra[present_hz]
    total = {lo: one.floor + max(0.0, one.foreign) for lo, one in spectra.items()}
    best = min(total, key=lambda lo: total[lo])
    disturbed = bool(present.lines) or present.bursts > MOST_BURSTS
    return best if disturbed and 10.0 * math.log10(total[present_hz] / total[best]) > MOST_FOREIGN_DB else present_hz


def _where(lo_hz: float, line: Line) -> str:
    if line.low_hz == line.high_hz:
        return f"{(lo_hz + line.middle_hz) / 1e6:.6f} MHz"
    return f"{(lo_hz + line.low_hz) / 1e6:.4f} to {(lo_hz + line.high_hz) / 1e6:.4f} MHz"


def _advice(rig: Rig, line: Line, best_hz: float) -> str:
    if abs(line.middle_hz) <= rig.offset_max_hz:
        source = (
            "it may be the carrier that one of the muted devices leaks (switch them off to see), or somebody else's"
        )
    else:
        source = "somebody else sends there: find and switch off the source"
    if best_hz != rig.lo_hz:
        return f"take lo_hz = {best_hz:.0f}, where it is clean; or, {source}"
    where = "no other frequency of the permit's band is better" if rig.band_hz else "or choose another lo_hz"
    return f"{source}; {where}"


def _facts(spectra: dict[float, Spectrum], rig: Rig, best_hz: float) -> dict[str, Any]:
    here = spectra[rig.lo_hz]
    return {
        "noise_floor_dbfs": 10.0 * math.log10(here.floor),
        "noise_floor_error_db": here.floor_error_db,
        "noise_variance": here.floor,
        "receive_gain_db": rig.receiver.receive_gain_db,
        "bursts": here.bursts,
        "dc": [here.dc.real, here.dc.imag],
        "clean_lo_hz": best_hz,
        "interference": [
            {
                "low_hz": rig.lo_hz + line.low_hz,
                "high_hz": rig.lo_hz + line.high_hz,
                "level_dbfs": 10.0 * math.log10(line.power),
            }
            for line in here.lines
        ],
        "channels": [
            {
                "lo_hz": lo,
                "noise_floor_dbfs": 10.0 * math.log10(one.floor),
                "noise_floor_error_db": one.floor_error_db,
                "disturbed_db": one.disturbed_db,
                "lines": len(one.lines),
                "bursts": one.bursts,
            }
            for lo, one in sorted(spectra.items())
        ],
    }


def _pictures(spectra: dict[float, Spectrum], lo_hz: float, best_hz: float) -> list[Picture]:
    here = spectra[lo_hz]
    floor = 10.0 * math.log10(here.floor)
    found = {0: "no interference", 1: "one signal of others"}.get(
        len(here.lines), f"{len(here.lines)} signals of others"
    )
    title = f"Silence at {lo_hz / 1e6:g} MHz: noise {_db(floor)}FS, {found}."

    def draw(axes: Axes) -> None:
        axes.plot(here.frequency_hz / 1e3, dbfs(here.power), color=BLUE, linewidth=0.9)
        axes.axhline(floor, color=INK, linewidth=0.8, linestyle="--", label="noise floor")
        for index, line in enumerate(here.lines[:5]):
            near = (here.frequency_hz >= line.low_hz - 1e3) & (here.frequency_hz <= line.high_hz + 1e3)
            peak = float(dbfs(here.power[near].max(keepdims=True))[0])
            axes.plot(line.middle_hz / 1e3, peak, "o", color=ORANGE, label=None if index else "somebody else's")
        axes.set_xlim(here.frequency_hz[0] / 1e3, here.frequency_hz[-1] / 1e3)
        axes.set(xlabel="offset from the LO (kHz)", ylabel="power density (dBFS per rate)")
        axes.legend(loc="upper right")

    pictures = [
        Picture(
            "environment",
            title,
            f"Hann windows of {POINTS} samples; the line in the middle is the receiver's own.",
            draw,
        )
    ]
    if len(spectra) > 1:
        pictures.append(_channels(spectra, lo_hz, best_hz))
    return pictures


def _channels(spectra: dict[float, Spectrum], lo_hz: float, best_hz: float) -> Picture:
    los = np.array(sorted(spectra))
    floors = np.array([10.0 * math.log10(spectra[lo].floor) for lo in los])
    totals = floors + np.array([spectra[lo].disturbed_db for lo in los])
    clean = "the present one stays" if best_hz == lo_hz else f"{best_hz / 1e6:g} MHz is the cleanest"
    names = [f"{lo / 1e6:g}" for lo in los]

    def draw(axes: Axes) -> None:
        places = np.arange(los.size)
        axes.plot(places, totals, "o", color=ORANGE, label="all that is heard")
        axes.plot(places, floors, "_", color=BLUE, markersize=14, markeredgewidth=2, label="noise floor")
        axes.axvline(float(np.flatnonzero(los == lo_hz)[0]), color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_xticks(places, names, fontsize=7)
        axes.set(xlabel="LO (MHz); dotted: the present one", ylabel="power (dBFS)")
        axes.margins(x=0.05, y=0.2)
        axes.legend(loc="best")

    return Picture(
        "channels", f"{los.size} channels: {clean}.", "Everybody silent; the receiver's DC offset is left out.", draw
    )


def _db(value: float) -> str:
    return f"{value:.1f}".replace("-", "\u2212") + "\u00a0dB"
