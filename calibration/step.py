"""One step of a calibration session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from calibration.finding import Outcome
from calibration.rig import Rig

Known = Mapping[str, Mapping[str, Any]]  # facts of the steps before, by the step's name


class Step(Protocol):
    """A step measures through the rig and leaves it silent, tuned and with the gains it had, unless it says otherwise.

    name   of the step, its section in the profile, and what --steps takes
    about  a line for the terminal and the report
    needs  steps whose facts it uses; the session runs them first
    """

    name: str
    about: str
    needs: tuple[str, ...]

    def run(self, rig: Rig, known: Known) -> Outcome: ...
