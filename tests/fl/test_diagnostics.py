"""What only a simulation knows is written beside the run and nowhere else."""

from __future__ import annotations

from fl.diagnostics import read_diagnostics


def test_the_count_of_projections_that_were_not_finite_stays_in_the_diagnostics(finished_run):
    lines = read_diagnostics(finished_run.path)
    assert lines
    assert all(line["nonfinite"] == 0 for line in lines)
    elsewhere = [p for p in finished_run.path.iterdir() if p.is_file() and p.name != "diagnostics.jsonl"]
    assert elsewhere
    assert not any(b"nonfinite" in p.read_bytes() for p in elsewhere)
