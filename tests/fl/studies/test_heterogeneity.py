"""The heterogeneity study's quick form."""

from __future__ import annotations

from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    assert {row["case"] for row in rows_of(quick("heterogeneity") / "differences.csv")} >= {"30 % away", "10 % silent"}
