"""The grid search: its rule, its mark at the edge, and what a private choice would cost."""

from __future__ import annotations

from fl.studies.outcome import Measured
from fl.studies.study import Results, Scale
from fl.studies.tune import STUDY, chosen, show
from tests.fl.studies.conftest import Quick, rows_of

LOSSES = {0.003: 0.6, 0.0099: 0.5, 0.03: 0.4, 0.099: 0.45}


def test_the_quick_form(quick: Quick) -> None:
    folder = quick("tune")
    assert sum(bool(row[""]) for row in rows_of(folder / "rates.csv")) == 2  # one rate a method
    cost = [float(row["epsilon of all together"]) for row in rows_of(folder / "privacy.csv")]
    assert cost[0] == 0.0 < cost[1] < cost[2]  # of the public choice, of one private run, of the whole grid


def test_the_least_mean_validation_loss_is_chosen_and_an_edge_is_marked() -> None:
    cells = STUDY.design(Scale(seeds=2))
    measured = {}
    for cell in cells:
        rate = float(cell.factors["rate"] or 0.0)
        if cell.factors["method"] == "pairzero":
            measured[cell.digest] = Measured(
                {"loss": LOSSES[rate] + 0.2 * (cell.seed == 1 and rate == 0.03), "accuracy": 0.7}
            )
        if cell.factors["method"] == "mezo":
            measured[cell.digest] = Measured({"loss": rate, "accuracy": 0.7})
    results = Results(cells, measured)
    best = chosen(results.groups())
    assert best["pairzero"].factors["rate"] == 0.099  # 0.45 against a mean of 0.5 at 0.03
    assert best["mezo"].factors["rate"] == 0.001
    marks = {(row[0], row[1]): row[4] for row in show(results)[0][0].rows if row[4]}
    assert marks == {
        ("pairzero", "0.099"): "chosen, at the grid's edge",
        ("mezo", "0.001"): "chosen, at the grid's edge",
    }
