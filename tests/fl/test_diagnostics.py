"""What only a simulation knows is written beside the run and nowhere else."""

from __future__ import annotations

from fl.diagnostics import Diagnostics, read_diagnostics


def test_the_count_of_projections_that_were_not_finite_stays_in_the_diagnostics(finished_run):
    lines = read_diagnostics(finished_run.path)
    assert lines
    assert all(line["nonfinite"] == 0 for line in lines)
    elsewhere = [p for p in finished_run.path.iterdir() if p.is_file() and p.name != "diagnostics.jsonl"]
    assert elsewhere
    assert not any(b"nonfinite" in p.read_bytes() for p in elsewhere)


def test_a_torn_line_of_diagnostics_costs_that_line_only(tmp_path, finished_run):
    text = (finished_run.path / "diagnostics.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "diagnostics.jsonl"
    path.write_text("".join(text[:3]) + text[3][:30])
    log = Diagnostics(tmp_path)
    log._file.write(text[4])
    log.close()
    assert [line["slot"] for line in read_diagnostics(tmp_path)] == [0, 1, 3]
