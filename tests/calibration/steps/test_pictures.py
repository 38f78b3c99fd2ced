"""Every picture of the steps about spectrum, clocks and starts can be drawn, and says something of a bench of five."""

from __future__ import annotations

import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.step import Step
from calibration.steps.carrier import Carrier
from calibration.steps.drift import Drift
from calibration.steps.environment import Environment
from calibration.steps.receive_gain import ReceiveGain
from calibration.steps.reweighting import Reweighting
from calibration.steps.start import Start
from radio.figure import plotted
from radio.interference import Interferer
from radio.surroundings import from_profile


@pytest.mark.parametrize(
    ("step", "names"),
    [
        (Environment(1 << 15), ["environment", "channels"]),
        (ReceiveGain(1 << 12), ["receive_gain"]),
        (Carrier(1 << 13), ["carrier"]),
        (Start(3), ["start"]),
        (Reweighting(1 << 11), ["reweighting"]),
        (Drift(24.0, 2.0, 1 << 12), ["drift", "allan"]),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else "",
)
def test_pictures(step: Step, names: list[str]) -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 5, 5), band_hz=(912e6, 918e6))
    rig.medium.interferers.append(Interferer(0.01, 300e3))
    pictures = step.run(rig, {}).pictures
    assert [picture.name for picture in pictures] == names
    for picture in pictures:
        plot = plotted(picture, "test-")
        assert plot.svg.startswith("<svg") and "mathdefault" not in plot.svg and len(plot.title) < 90
