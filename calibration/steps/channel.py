"""The channel of every device: how strong, how long it holds, how its phase moves.

A gain is that of small signals at the station's attenuator setting, mixers and receiver included, in ADC full scale over DAC
full scale: what the amplifier loses of a larger one, power_sweep says. Gains come from one pilot of each device alone; how
they move, from all devices' tones held together for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from calibration.coherence import Coherence, changes, fit_coherence
from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.linearity import loss_db
from calibration.probe import Floor, Probe, Reading, floor_findings, floor_of, in_db, listen, probe_for, trouble
from calibration.rig import Rig
from calibration.series import MOST_TOGETHER, OFFSETS_S, WINDOW, Series, watch
from calibration.step import Known
from radio.palette import SERIES
from radio.pictures import Picture

SPAN_S = 20.0
FULL = 0.8  # of ADC full scale that all devices together may reach
NOISE_CREST = 5.0
STEADY = Limit(low=0.5)  # seconds for which a gain must hold: a few rounds
STEADY_PHASE = 0.5  # rad in the longest stretch that was heard without a break: less than this is a common clock


@dataclass(frozen=True)
class _Found:
    device: int
    reading: Reading
    amplitude: float
    loss: Estimate  # by the amplifier, at this amplitude


class Channel:
    """Args:
    span_s: how long the devices are watched together.
    """

    name = "channel"
    about = "channel gain, coherence time and phase of every device"
    needs: tuple[str, ...] = ()

    def __init__(self, span_s: float = SPAN_S) -> None:
        self.span_s = span_s

    def run(self, rig: Rig, known: Known) -> Outcome:
        floor, probe = floor_of(rig), probe_for(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        facts: list[dict[str, Any]] = [{"name": name} for name in rig.names]
        found: list[_Found] = []
        for k, name in enumerate(rig.names):
            rig.say(f"channel of {name}")
            one = _level(rig, k, probe, floor, known)
            if one.reading.problem:
                findings.append(trouble(self.name, name, one.reading.problem))
            if one.reading.usable:
                findings += self._strength(rig, one, facts[k])
                found.append(one)
        series: dict[str, Any] = {}
        watched: list[Series] = []
        for first in range(0, len(found), MOST_TOGETHER):
            group = found[first : first + MOST_TOGETHER]
            rig.say(f"watching {len(group)} devices together for {self.span_s:g} s")
            heard = watch(
                rig,
                [one.device for one in group],
                [one.reading.offset_hz for one in group],
                _together(group, floor),
                self.span_s,
            )
            if heard.problem:
                findings.append(trouble(self.name, "receiver", heard.problem))
            if heard.problem == "saturated" or not heard.times_s.size:
                continue
            watched.append(heard)
            for row, device in enumerate(heard.devices):
                findings += self._motion(rig, heard, row, facts[device])
                series |= {
                    f"times_s_{device}": heard.times_s,
                    f"group_{device}": heard.group,
                    f"gains_{device}": heard.gains[row],
                    f"gain_errors_{device}": heard.errors[row],
                    f"offsets_hz_{device}": heard.offsets_hz[row],
                }
        pictures = (_levels(rig, watched), _changes(rig, watched)) if watched else ()
        return Outcome(
            tuple(findings), {"device": facts, "receive_gain_db": rig.receiver.receive_gain_db}, pictures, series
        )

    def _strength(self, rig: Rig, one: _Found, fact: dict[str, Any]) -> list[Finding]:
        reading, name = one.reading, rig.names[one.device]
        error = reading.standard_error / one.amplitude
        gain = in_db(abs(reading.amplitude) / one.amplitude, error, "dBFS")
        lift = 10.0 ** (one.loss.value / 20.0)
        fact |= {
            "amplitude": one.amplitude,
            "transmit_gain_db": rig.transmitters[one.device].transmit_gain_db,
            "gain": lift * reading.level / one.amplitude,
            "gain_error": lift * error,
            "phase_rad": float(np.angle(reading.amplitude)),
            "phase_error_rad": reading.phase_error,
            "snr_db": float(20.0 * np.log10(reading.level / one.amplitude) - 10.0 * np.log10(reading.noise_variance)),
        }
        if gain is None:
            words = "channel gain of a full-scale tone: too weak to be stated"
            advice = "raise transmit_gain_db or receive_gain_db, or bring it nearer"
            return [Finding(self.name, name, words, verdict="unknown", advice=advice)]
        gain = Estimate(
            gain.value + one.loss.value, float(np.hypot(gain.standard_error, one.loss.standard_error)), "dBFS"
        )
        fact |= {"gain_dbfs": gain.value, "gain_error_db": gain.standard_error}
        return [Finding(self.name, name, "channel gain of a full-scale tone", gain)]

    def _motion(self, rig: Rig, heard: Series, row: int, fact: dict[str, Any]) -> list[Finding]:
        name = rig.names[heard.devices[row]]
        magnitudes, errors = magnitude(heard, row)
        coherence = fit_coherence(heard.times_s, magnitudes, errors, seed=row)
        lags, change, _ = changes(heard.times_s, magnitudes, errors**2)
        fact |= {"watched_s": coherence.span_s, "lag_s": [float(x) for x in lags], "change": [float(x) for x in change]}
        found = [self._holds(name, coherence, fact)]
        fact["offset_hz"] = float(np.median(heard.offsets_hz[row]))
        if rig.shared_clock:  # else the carriers' own turning is all that would be seen
            lags_s, turns, noise = phase_changes(heard, row)
            fact |= {"phase_lag_s": lags_s, "phase_change_rad": turns}
            last = Estimate(turns[-1], noise[-1], "rad")
            words = f"phase change in {1e3 * lags_s[-1]:.0f} ms, rms"
            advice = (
                "wrong clock: the carriers are not those of one reference; check its cable and level, and xo_correction, or "
                "set clock = 'free' in the station file"
            )
            found.append(Finding.judged(self.name, name, words, last, Limit(high=STEADY_PHASE), advice))
        return found

    def _holds(self, name: str, coherence: Coherence, fact: dict[str, Any]) -> Finding:
        fact |= {"moves": coherence.moves, "amplitude_std": coherence.change}
        if coherence.coherence is None:
            fact["coherence_above_s"] = coherence.span_s
            words = (
                f"coherence time: above {coherence.span_s:.0f} s, gain steady within {100 * coherence.change:.2g} % rms"
            )
            return Finding(self.name, name, words)
        fact |= {
            "coherence_s": coherence.coherence.value,
            "coherence_error_s": coherence.coherence.standard_error,
            "correlation": coherence.kernel,
        }
        if coherence.rician_k is not None:
            fact |= {"rician_k": coherence.rician_k.value, "rician_k_error": coherence.rician_k.standard_error}
        advice = (
            "the channel moves faster than rounds: sound it every round, take energy mode, or hold still what moves "
            "(people, antennas)"
        )
        return Finding.judged(
            self.name, name, "coherence time (correlation one half)", coherence.coherence, STEADY, advice
        )


def magnitude(heard: Series, row: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) |h| of one device without the noise's share, and standard errors."""
    errors = heard.errors[row]
    return np.sqrt(np.maximum(np.abs(heard.gains[row]) ** 2 - 2.0 * errors**2, errors**2)), errors


def phase_changes(heard: Series, row: int) -> tuple[list[float], list[float], list[float]]:
    """How far a device's phase is after each of `OFFSETS_S`, rms over the groups, rad, and what of it is noise's."""
    gains, errors = heard.gains[row], heard.errors[row]
    starts = np.searchsorted(heard.group, np.unique(heard.group))
    lags, turns, noise = [], [], []
    for place in range(1, len(OFFSETS_S)):
        pairs = [(s, s + place) for s in starts]
        angle = np.angle([gains[j] * np.conj(gains[i]) for i, j in pairs])
        share = np.mean([(errors[i] / abs(gains[i])) ** 2 + (errors[j] / abs(gains[j])) ** 2 for i, j in pairs])
        square = float(np.mean(angle**2))
        lags.append(OFFSETS_S[place])
        turns.append(float(np.sqrt(max(square - share, 0.0))))
        noise.append(float(max(np.sqrt(share), np.sqrt(square)) / np.sqrt(2.0 * len(pairs))))
    return lags, turns, noise


def _level(rig: Rig, device: int, probe: Probe, floor: Floor, known: Known) -> _Found:
    """As loud as the amplifier is straight, half of it while the receiver is saturated."""
    swept = known.get("power_sweep", {}).get("device", [])
    fact = swept[device] if device < len(swept) else {}
    amplitude = float(fact.get("linear_amplitude", 1.0))
    reading = listen(rig, device, probe, floor, amplitude)
    while reading.problem == "saturated" and amplitude > 0.05:
        amplitude /= 2.0
        reading = listen(rig, device, probe, floor, amplitude)
    loss = Estimate(0.0, 0.0, "dB")
    if "compression_dbfs" in fact:  # there is something to be taken off
        loss = loss_db(float(fact["curvature"]), float(fact["curvature_error"]), amplitude)
    return _Found(device, reading, amplitude, loss)


def _together(group: Sequence[_Found], floor: Floor) -> list[float]:
    """Digital amplitudes at which all of them together do not fill the ADC, each at most what it was measured at."""
    room = FULL - abs(floor.dc) - NOISE_CREST * float(np.sqrt(floor.noise_variance / 2.0))
    total = sum(one.reading.level for one in group)
    share = min(1.0, max(room, 0.05) / max(total, 1e-12))
    return [share * one.amplitude for one in group]


def _levels(rig: Rig, watched: Sequence[Series]) -> Picture:
    def draw(axes: Axes) -> None:
        for heard in watched:
            for row, device in enumerate(heard.devices):
                level = 20.0 * np.log10(np.maximum(magnitude(heard, row)[0], 1e-9))
                axes.plot(heard.times_s, level, "o-", markersize=3, linewidth=0.6, **_line(rig, device))
        axes.set_xlabel("time (s)")
        axes.set_ylabel("gain (dBFS)")
        _legend(axes)

    spread = max(
        float(np.ptp(20.0 * np.log10(np.maximum(magnitude(heard, row)[0], 1e-9))))
        for heard in watched
        for row in range(len(heard.devices))
    )
    span = max(one.times_s[-1] for one in watched)
    title = f"Channel gains: up to {spread:.2g} dB between largest and smallest in {span:.0f} s."
    caption = f"All devices at once, each on a tone of its own; pilots of {WINDOW:,} samples."
    return Picture("channel-gains", title, caption, draw)


def _changes(rig: Rig, watched: Sequence[Series]) -> Picture:
    most = 0.0
    for heard in watched:
        for row in range(len(heard.devices)):
            magnitudes, errors = magnitude(heard, row)
            most = max(most, float(changes(heard.times_s, magnitudes, errors**2)[1].max()))

    def draw(axes: Axes) -> None:
        for heard in watched:
            for row, device in enumerate(heard.devices):
                magnitudes, errors = magnitude(heard, row)
                lags, change, _ = changes(heard.times_s, magnitudes, errors**2)
                axes.plot(lags, 100.0 * change, "o-", markersize=3, linewidth=0.9, **_line(rig, device))
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("age of the measurement (s)")
        axes.set_ylabel("rms change of |h| (%)")
        _legend(axes)

    title = (
        f"Age: a gain that was measured up to {max(one.times_s[-1] for one in watched):.0f} s ago is off by at most "
    )
    title += f"{100.0 * most:.2g} % rms."
    return Picture("channel-change", title, "Over the rms gain; the noise's share is taken off.", draw)


def _line(rig: Rig, device: int) -> dict[str, Any]:
    named = rig.devices <= len(SERIES)
    return {"color": SERIES[device % len(SERIES)], "label": rig.names[device] if named else None}


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
