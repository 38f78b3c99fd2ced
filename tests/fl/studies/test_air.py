"""The air study's quick form."""

from __future__ import annotations

from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    rows = rows_of(quick("air") / "cells.csv")
    assert {("vote", "textbook"), ("energy", "textbook"), ("ideal", "none")} < {
        (r["mode"], r["surroundings"]) for r in rows
    }
