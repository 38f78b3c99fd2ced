"""`pairzero status`: a line a run, whatever state its folder is in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from fl.reporting.run_files import read_run
from fl.status_command import cells
from privacy.record_log import encode
from tests.fl.test_watch_command import cut


def test_states_of_a_run(finished_run, tmp_path: Path) -> None:
    summary = finished_run.summary
    total = summary["rounds"]
    state, rounds, accuracy, epsilon, _ = cells(read_run(finished_run.path))
    assert (state, rounds) == ("finished", f"{total} of {total} rounds")
    assert accuracy == f"accuracy {summary['accuracy']:.1%}"
    assert epsilon.startswith("epsilon 0.") and epsilon.endswith(f" of {summary['epsilon_target']:g}")
    run = cut(finished_run.path, tmp_path / "run", 3)
    state, rounds, _, epsilon, age = cells(read_run(run))
    assert (state, rounds) == ("running", f"3 of {total} rounds")
    assert epsilon.startswith("epsilon at most 0.") and age.endswith(" s ago")
    os.utime(run / "journal.jsonl", (time.time() - 600,) * 2)
    assert cells(read_run(run))[0] == "silent" and cells(read_run(run))[4].startswith("last record 10 min")
    shutil.rmtree(run / "ledger")
    assert cells(read_run(run))[3] == "epsilon in the devices' ledgers"
    (run / "journal.jsonl").unlink()
    assert cells(read_run(run))[::4] == ("not begun", "no record")


def test_a_run_that_goes_on_is_not_as_it_was_when_it_was_stopped(finished_run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run.path, run)
    with (run / "journal.jsonl").open("ab") as journal:
        journal.write(encode({"type": "resumed"}))
        journal.write(
            encode({**read_run(run).records("round")[-1], "slot": 1000, "round": finished_run.summary["rounds"] + 1})
        )
    state, rounds, _, epsilon, _ = cells(read_run(run))
    assert (state, rounds.split()[0]) == ("running", str(finished_run.summary["rounds"] + 1))
    assert epsilon.startswith("epsilon at most ")


def test_the_command(finished_run, tmp_path: Path, pairzero: Callable) -> None:
    outcome = pairzero("status")
    assert outcome.code == 2 and "no run folder in runs/" in outcome.err
    for name in ("b", "a"):
        shutil.copytree(finished_run.path, tmp_path / "runs" / name)
    (tmp_path / "runs" / "notes").mkdir()
    outcome = pairzero("status")
    lines = outcome.out.splitlines()
    assert outcome.code == 0 and [line.split()[0] for line in lines] == ["runs/a", "runs/b"]
    assert all(" finished  " in line for line in lines)
    outcome = pairzero("status", "runs/notes", "runs/b")  # what can be read is shown
    assert outcome.code == 2 and "not a run folder" in outcome.err and outcome.out.startswith("runs/b")
