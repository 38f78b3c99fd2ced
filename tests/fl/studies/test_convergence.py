"""The comparison: costs are as reckoned, and another study shows the same cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from fl.studies.budget import examples_a_round
from fl.studies.communication import LINK, Link
from fl.studies.outcome import Point, first_below, first_reaching
from fl.studies.rates import contenders
from fl.studies.reproduce import prepared
from fl.studies.study import Scale
from fl.studies.training import Train
from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form_spends_what_budgets_reckon(quick: Quick, studies: Path) -> None:
    folder = quick("convergence")
    rows = {row["digest"]: row for row in rows_of(folder / "cells.csv")}
    for cell in contenders(prepared(Scale(quick=True, seeds=1), studies), 1):
        row, work = rows[cell.digest], cell.work
        assert isinstance(work, Train)
        forwards, backwards = examples_a_round(work.name, work.prepared, work.options)
        assert float(row["forwards"]) == pytest.approx(forwards * float(row["rounds"])), cell.name
        assert float(row["backwards"]) == pytest.approx(backwards * float(row["rounds"])), cell.name
    assert rows_of(folder / "targets.csv")
    before = (folder / "cells.csv").read_bytes()
    quick("communication")
    assert (folder / "cells.csv").read_bytes() == before


def test_airtime_and_energy_of_analog_and_of_digital() -> None:
    analog, digital = Point(1, 0, 0, 10, 0, 0.5, 0.7), Point(1, 0, 0, 0, 1e6, 0.5, 0.7)
    assert LINK.airtime_s(analog) == pytest.approx(10 * 4096e-6)
    assert LINK.energy_j(analog, 5) == pytest.approx(5 * 10 * 4096e-6 * 0.025)  # everybody sends
    rate = 1e6 * 6.658211482751795  # log2(101)
    assert Link().bits_a_second == pytest.approx(rate)
    assert LINK.airtime_s(digital) == pytest.approx(1e6 / rate)
    assert LINK.energy_j(digital, 5) == pytest.approx(0.025 * 1e6 / rate)  # one after another


def test_the_first_evaluation_that_reaches_a_target_counts() -> None:
    curve = tuple(Point(r, 0, 0, 0, 0, 1.2 - accuracy, accuracy) for r, accuracy in enumerate((0.5, 0.7, 0.6, 0.8)))
    found = first_reaching(curve, 0.7)
    assert found is not None and found.round == 1 and first_reaching(curve, 0.9) is None
    assert first_reaching(curve, 0.75) is None  # the last is of all sentences, the others of some
    found = first_below(curve, 0.6)
    assert found is not None and found.round == 1 and first_below(curve, 0.3) is None
