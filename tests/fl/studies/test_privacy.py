"""The privacy study's quick form."""

from __future__ import annotations

from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    folder = quick("privacy")
    rules = [row["rule"] for row in rows_of(folder / "differences.csv")]
    assert {"own-noise", "aggregate", "trusted-receiver"} < set(rules) and "none" not in rules
    spent = {(row["rule"], row["epsilon"]): row["epsilon_spent"] for row in rows_of(folder / "cells.csv")}
    assert 0 < float(spent["own-noise", "5.0"]) < 5 and spent["none", ""] == ""
