"""Pictures of steps can be drawn, and their titles say what is seen."""

from __future__ import annotations

from dataclasses import replace

from matplotlib.figure import Figure

from calibration.loopback_rig import LoopbackRig
from calibration.steps.channel import Channel
from calibration.steps.front_end import FrontEnd
from calibration.steps.power_sweep import PowerSweep
from radio.surroundings import from_profile


def test_pictures_are_drawn_with_axes_that_have_words() -> None:
    for shared in (True, False):
        place = from_profile("pluto-bench", 2, 4, shared_clock=shared)
        rig = LoopbackRig(replace(place, impairments=replace(place.impairments, start_jitter_s=0.002)))
        for step in (PowerSweep(), FrontEnd(), Channel(span_s=0.5)):
            for picture in step.run(rig, {}).pictures:
                axes = Figure().subplots()
                picture.draw(axes)
                assert axes.get_ylabel() and axes.has_data() and picture.title.endswith(".") and picture.caption
