"""The study of many devices: its quick form, and the same data and batches whatever their number."""

from __future__ import annotations

from fl.studies.devices import STUDY
from fl.studies.study import Scale
from fl.studies.training import Run
from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    assert {row["data"] for row in rows_of(quick("devices") / "cells.csv")} >= {
        "IID, private",
        "Dirichlet 0.1, no privacy",
    }


def test_data_and_batches_of_all_devices_together_are_the_same() -> None:
    for cell in STUDY.design(Scale(seeds=1)):
        assert isinstance(cell.work, Run)
        experiment = cell.work.experiment
        devices = experiment.learning.devices
        assert devices * experiment.task.examples_per_device == 50_000
        assert devices * experiment.learning.batch == 20
        assert experiment.privacy.delta < 1 / experiment.task.examples_per_device
