"""All steps, in the order in which a session runs them where nothing else is needed first."""

from __future__ import annotations

from calibration.step import Step
from calibration.steps.alignment import Alignment
from calibration.steps.carrier import Carrier
from calibration.steps.channel import Channel
from calibration.steps.drift import Drift
from calibration.steps.environment import Environment
from calibration.steps.front_end import FrontEnd
from calibration.steps.known_scalar import KnownScalar
from calibration.steps.power_sweep import PowerSweep
from calibration.steps.receive_gain import ReceiveGain
from calibration.steps.reciprocity import Reciprocity
from calibration.steps.reweighting import Reweighting
from calibration.steps.start import Start

STEPS: tuple[Step, ...] = (
    Environment(),
    ReceiveGain(),
    Carrier(),
    Start(),
    PowerSweep(),
    FrontEnd(),
    Channel(),
    Reciprocity(),
    Reweighting(),
    Alignment(),
    KnownScalar(),
    Drift(),
)
LONG = ("drift",)  # only where they are asked for by name: they take far more radio time than all others together
