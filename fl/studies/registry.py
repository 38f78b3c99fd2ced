"""Studies by name, in the order in which they are worth most."""

from __future__ import annotations

from fl.studies import (
    air,
    choices,
    communication,
    convergence,
    devices,
    heterogeneity,
    memory,
    privacy,
    snr,
    tune,
)
from fl.studies.study import Study

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (memory, choices, tune, convergence, communication, privacy, snr, air, devices, heterogeneity)
}
