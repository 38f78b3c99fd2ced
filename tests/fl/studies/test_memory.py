"""The memory study: its quick form, and its percentages from known peaks."""

from __future__ import annotations

import pytest

from fl.studies.memory import design, show
from fl.studies.outcome import Measured
from fl.studies.study import Results, Scale
from tests.fl.studies.conftest import Quick

PEAKS = {"import": 500.0, "inference": 1000.0, "pairzero": 1000.0, "sign-pairzero": 1000.0, "mezo": 1500.0, "sgd": 2000.0,
         "adamw": 2500.0}  # fmt: skip


def test_the_quick_form(quick: Quick) -> None:
    page = (quick("memory") / "memory.md").read_text()
    assert "| pairzero | tiny | fp32 |" in page


def test_percentages_are_of_the_same_model_and_precision() -> None:
    cells = design(Scale())
    measured = {c.digest: Measured({"peak_rss_mib": PEAKS[str(c.factors["method"])]}) for c in cells}
    (table,), _ = show(Results(cells, measured))
    ours = next(row for row in table.rows if row[:3] == ["pairzero", "125m", "fp32"])
    # 1000 of 2500 whole, 500 of 2000 above the imports
    assert ours[3:7] == ["1,000", "500", "40", "25"]
    assert next(row for row in table.rows if row[:3] == ["sgd", "1.3b", "fp32"])[5] == "–"  # no AdamW to compare with


@pytest.mark.parametrize("method", ["pairzero", "adamw"])
def test_what_a_method_uploads(method: str) -> None:
    from fl.studies.peak import Peak, measure

    found = measure(Peak(method, "tiny", "fp32", 2))
    bits = {"pairzero": 16.0, "adamw": 16.0 * found["weights"]}
    assert found["uplink_bits"] == bits[method] and found["peak_rss_mib"] > 100
