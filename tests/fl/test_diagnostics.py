"""What only a simulation knows is written beside the run and nowhere else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fl.diagnostics import Diagnostics, read_diagnostics, received_snr_db, run_snr_db


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


def test_the_received_snr_is_that_of_the_sums_and_agrees_with_their_error():
    draws = np.random.default_rng(4)
    sums, variance = draws.normal(0, 3.0, (20_000, 2)), np.tile([0.5, 1.5], (20_000, 1))
    received = sums + np.sqrt(variance) * draws.standard_normal(sums.shape)
    # 10 log10(9 / 1); the estimate's standard deviation is about 1 %
    assert received_snr_db(received, variance) == pytest.approx(10 * math.log10(9.0), abs=0.2)
    error_db = 10 * math.log10(((received - sums) ** 2).sum() / (sums**2).sum())
    assert received_snr_db(received, variance) == pytest.approx(-error_db, abs=0.2)
    received[::2] = np.nan
    assert received_snr_db(received, variance) == pytest.approx(10 * math.log10(9.0), abs=0.3)


def test_a_received_snr_that_is_no_number():
    assert math.isnan(received_snr_db([], [])) and math.isnan(received_snr_db([math.nan], [1.0]))
    assert received_snr_db([2.0, 1.0], [0.0, 0.0]) == math.inf
    assert received_snr_db([0.5, 0.5], [1.0, 1.0]) == -math.inf
    line = {"erased": False, "received": [2.0, None], "variance": [1.0, None]}
    erased = {"erased": True, "received": [9.0], "variance": [1.0]}
    assert run_snr_db([line, erased]) == pytest.approx(10 * math.log10(3.0))
    assert run_snr_db([erased]) is None and run_snr_db([]) is None
