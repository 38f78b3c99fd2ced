"""Cells in processes beside each other: the same record, and an end in order whatever ends them."""

from __future__ import annotations

import csv
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from fl.stop import Terminated
from fl.studies.reproduce import reproduce
from fl.studies.study import Scale
from radio.errors import InputError
from tests.fl.studies import fake

TWO = Scale(seeds=2)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cells.csv").open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row["digest"])


def test_two_at_a_time_measure_what_one_at_a_time_does(make_study, tmp_path):
    told: list[str] = []
    alone = reproduce(make_study(), TWO, tmp_path / "alone", lambda line: None)
    both = reproduce(make_study(), TWO, tmp_path / "both", told.append, jobs=2)
    assert [line.partition(":")[0] for line in told] == ["fake 1/4", "fake 2/4", "fake 3/4", "fake 4/4"]
    first, second = ([{**row, "wall_s": ""} for row in rows(folder)] for folder in (alone, both))
    assert first == second
    # four are measured, nothing is left
    assert reproduce(make_study(), TWO, tmp_path / "both", told.append, jobs=2) == both and len(told) == 4


def test_an_error_ends_the_others_and_a_killed_process_is_explained(make_study, tmp_path):
    study = make_study((1.0, 2.0, 3.0), {2.0: fake.last, 3.0: fake.refuse})
    with pytest.raises(InputError, match="no data"):
        reproduce(study, Scale(seeds=1), tmp_path, lambda line: None, jobs=2)
    assert sorted(row["status"] for row in rows(tmp_path / "fake")) == ["done", "not run", "not run"]
    with pytest.raises(InputError, match=r"'level 4.0, rule fake, seed 1' was killed, .* fewer --jobs than 2"):
        reproduce(make_study((4.0,), {4.0: fake.die}), Scale(seeds=1), tmp_path, lambda line: None, jobs=2)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_to_the_command_ends_every_cell_in_order(make_study, tmp_path, number, error):
    study = make_study((1.0, 2.0, 3.0), {2.0: fake.last, 3.0: fake.last})

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("fake/cells/*/began"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(error):
        reproduce(study, TWO, tmp_path, lambda line: None, jobs=2)
    thread.join()
    assert [row["level"] for row in rows(tmp_path / "fake") if row["status"] == "done"] == ["1.0"]
    assert "1 of 6 cells" in (tmp_path / "fake" / "fake.md").read_text()


def test_a_signal_before_the_processes_are_up_ends_them_in_order(make_study, tmp_path, capfd):
    begun = False

    def say(line: str) -> None:
        nonlocal begun
        if not begun:
            os.kill(os.getpid(), signal.SIGINT)
        begun = True

    with pytest.raises(KeyboardInterrupt):
        reproduce(make_study((1.0, 2.0), {1.0: fake.last, 2.0: fake.last}), TWO, tmp_path, say, jobs=2)
    assert "Traceback" not in capfd.readouterr().err
    assert {row["status"] for row in rows(tmp_path / "fake")} == {"not run"}
