"""Reading run folders: what is torn, missing or repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from fl.reporting.run_files import evaluations, read_run
from privacy.record_log import encode


def test_diagnostics_keep_slots_aligned(tmp_path: Path) -> None:
    path = tmp_path / "diagnostics.jsonl"
    (tmp_path / "experiment.toml").touch()
    rows = [
        {
            "slot": 0,
            "round": 1,
            "truth": [3.0],
            "received": [3.5],
            "active": [True, False],
            "transmit_power_dbfs": [-20, None],
            "erased": False,
        },
        {
            "slot": 1,
            "round": 1,
            "truth": [9.0],
            "received": [],
            "active": [True, True],
            "transmit_power_dbfs": [-20, -30],
            "erased": True,
        },
        {
            "slot": 2,
            "round": 2,
            "truth": [4.0],
            "received": [4.0],
            "active": [True, True],
            "transmit_power_dbfs": [-20, -30],
            "erased": False,
        },
    ]
    path.write_text("\n".join(json.dumps(row) for row in [{"notice": "n"}, *rows]) + '\n{"torn')
    run = read_run(tmp_path)
    notice, air = run.notice, run.air
    assert notice == "n" and air.rounds.tolist() == [1, 1, 2] and air.erased.tolist() == [False, True, False]
    assert math.isnan(air.power_dbfs[0, 1]) and air.active[0].tolist() == [True, False]
    assert air.nmse_db() == pytest.approx(10 * math.log10(0.25 / 25))  # the erased slot does not count


def test_a_slot_repeated_after_a_crash_counts_once(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").touch()
    row = {"round": 1, "truth": [1.0], "active": [True], "erased": False}
    lines = [{**row, "slot": 0, "received": [5.0]}, {**row, "slot": 0, "received": [1.5]}]
    (tmp_path / "diagnostics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = read_run(tmp_path)
    assert run.notice == "" and run.air.received.tolist() == [[1.5]]


def test_the_final_evaluation_of_a_round_counts(tmp_path: Path) -> None:
    rows = [(0, 0.5, 2000, False), (5, 0.6, 500, False), (10, 0.9, 500, False), (10, 0.7, 2000, True)]
    records = [
        {"type": "evaluation", "round": t, "loss": 0.1, "accuracy": a, "examples": n, "final": final}
        for t, a, n, final in rows
    ]
    (tmp_path / "journal.jsonl").write_bytes(b"".join(encode(record) for record in records))
    seen = evaluations(read_run(tmp_path))
    assert seen.rounds.tolist() == [0, 5, 10] and seen.accuracy.tolist() == [0.5, 0.6, 0.7]
    assert seen.examples.tolist() == [2000, 500, 2000]
