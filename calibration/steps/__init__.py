"""The steps of a session, in its order."""

from __future__ import annotations

from calibration.step import Step
from calibration.steps.channel import Channel
from calibration.steps.front_end import FrontEnd
from calibration.steps.power_sweep import PowerSweep
from calibration.steps.reciprocity import Reciprocity

STEPS: tuple[Step, ...] = (
    PowerSweep(),
    FrontEnd(),
    Channel(),
    Reciprocity(),
)
