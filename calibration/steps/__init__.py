"""All steps, in the order in which a session runs them where nothing else is needed first."""

from __future__ import annotations

from calibration.step import Step
from calibration.steps.carrier import Carrier
from calibration.steps.drift import Drift
from calibration.steps.environment import Environment
from calibration.steps.receive_gain import ReceiveGain
from calibration.steps.reweighting import Reweighting
from calibration.steps.start import Start

STEPS: tuple[Step, ...] = (
    Environment(),
    ReceiveGain(),
    Carrier(),
    Start(),
    Reweighting(),
    Drift(),
)
LONG = ("drift",)  # only where they are asked for by name: they take far more radio time than all others together
