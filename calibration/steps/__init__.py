"""All steps, in the order in which a session runs them where nothing else is needed first."""

from __future__ import annotations

from calibration.step import Step
from calibration.steps.alignment import Alignment
from calibration.steps.known_scalar import KnownScalar

STEPS: tuple[Step, ...] = (
    Alignment(),
    KnownScalar(),
)
LONG = ("drift",)  # only where they are asked for by name: they take far more radio time than all others together
