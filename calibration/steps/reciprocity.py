"""Reciprocity: whether the way back is like the way there.

Needs radios that all send and listen. Where the receiver may not transmit (a station file permits the devices alone), or
devices cannot listen, that is a fact and no fault: nothing in a run needs the way back.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import Floor, Probe, Reading, floor_of, in_db, listen, probe_for, read, trouble
from calibration.rig import Rig
from calibration.step import Known
from radio.errors import InputError
from radio.palette import BLUE, INK
from radio.pictures import Picture

ALIKE = Limit(low=-1.0, high=1.0)


class Reciprocity:
    name = "reciprocity"
    about = "whether the way back is like the way there, where both can be measured"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        probe = probe_for(rig)
        floor = floor_of(rig)
        findings: list[Finding] = []
        there: dict[int, Estimate] = {}
        back: dict[int, Estimate] = {}
        for k, name in enumerate(rig.names):
            try:
                returned = _back(rig, k, probe, floor)
            except InputError as error:
                why = str(error).splitlines()[0]
                words = f"not measurable here: {why}"
                return Outcome((Finding(self.name, "station", words),), {"measurable": False, "why": why})
            forward = listen(rig, k, probe, floor)
            for reading in (forward, returned):
                if reading.problem:
                    findings.append(trouble(self.name, name, reading.problem))
            one, two = (
                in_db(abs(reading.amplitude), reading.standard_error) if reading.usable else None
                for reading in (forward, returned)
            )
            if one is not None and two is not None:
                there[k], back[k] = one, two
        # Gains of the units' own stages differ, the same for every device: what is left beside their mean is the channel's.
        difference = {k: there[k].value - back[k].value for k in there}
        mean = float(np.mean(list(difference.values()))) if difference else 0.0
        facts: list[dict[str, Any]] = []
        for k, value in difference.items():
            uncertain = math.hypot(there[k].standard_error, back[k].standard_error)
            estimate = Estimate(value - mean, uncertain, "dB")
            words = "there less back, beside the mean of all devices"
            advice = "do not infer one direction from the other; sound the direction that is used"
            findings.append(Finding.judged(self.name, rig.names[k], words, estimate, ALIKE, advice))
            facts.append({"name": rig.names[k], "there_dbfs": there[k].value, "back_dbfs": back[k].value,
                          "difference_db": value - mean, "difference_error_db": uncertain})  # fmt: skip
        pictures = (_picture(rig, there, back),) if there else ()
        return Outcome(tuple(findings), {"measurable": True, "device": facts}, pictures)


def _back(rig: Rig, device: int, probe: Probe, floor: Floor) -> Reading:
    """The receiver sends and the device listens at the receiver's gain; its own gain is put back.

    Raises InputError where one of the two cannot.
    """
    listener, sender = rig.transmitters[device], rig.receiver
    rig.mute()
    gain_db = listener.receive_gain_db
    try:
        listener.receive_gain_db = sender.receive_gain_db
        idle = listener.receive(probe.window)
        sender.transmit(probe.wave(), cyclic=True)
        samples = listener.receive(rig.guard_samples + probe.window)[rig.guard_samples :]
    finally:
        sender.mute()
        listener.receive_gain_db = gain_db
    rig.radio_s += (2 * probe.window + rig.guard_samples) / rig.rate_sps
    noise = max(float(np.var(idle)), floor.noise_variance * 1e-3) if np.isfinite(idle).all() else floor.noise_variance
    reading = read(
        samples,
        probe,
        rate_sps=rig.rate_sps,
        lo_hz=rig.lo_hz,
        noise_variance=noise,
        offset_max_hz=rig.offset_max_hz,
    )
    return replace(reading, offset_hz=-reading.offset_hz)


def _picture(rig: Rig, there: dict[int, Estimate], back: dict[int, Estimate]) -> Picture:
    def draw(axes: Axes) -> None:
        axes.plot([there[k].value for k in there], [back[k].value for k in there], "o", color=BLUE, markersize=5)
        for k in there:
            axes.annotate(rig.names[k], (there[k].value, back[k].value), xytext=(4, 2), textcoords="offset points")
        axes.axline((next(iter(there.values())).value,) * 2, slope=1.0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_xlabel("there (dBFS)")
        axes.set_ylabel("back (dBFS)")

    return Picture("reciprocity", "Gains there and back.", "Dashed: a line of slope one.", draw)
