"""The study of one choice at a time: its quick form, and equal work."""

from __future__ import annotations

import pytest

from fl.studies.budget import work_a_round
from fl.studies.choices import CASES, STUDY
from fl.studies.rates import BUDGET
from fl.studies.study import Scale
from fl.studies.training import Run
from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    assert len(rows_of(quick("choices") / "accuracy.csv")) == 3


def test_every_choice_is_given_the_same_work() -> None:
    cells = STUDY.design(Scale(seeds=1))
    assert [cell.factors["choice"] for cell in cells] == list(CASES)
    for cell in cells:
        assert isinstance(cell.work, Run)
        experiment = cell.work.experiment
        assert experiment.learning.rounds * work_a_round("run", experiment, {}) == pytest.approx(BUDGET, rel=0.03)
