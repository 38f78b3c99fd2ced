"""The SNR study's quick form."""

from __future__ import annotations

from tests.fl.studies.conftest import Quick, rows_of


def test_the_quick_form(quick: Quick) -> None:
    rows = rows_of(quick("snr") / "cells.csv")
    assert {"paper, solution", "paper, static", "paper, reversed", "paper, perfect", "ours, sign"} < {
        r["method"] for r in rows
    }
