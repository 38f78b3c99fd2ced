"""Cells are measured once, whatever happens in between; the record and the pages say what there is."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path

import pytest

from fl.studies.reproduce import reproduce
from fl.studies.study import Scale
from radio.errors import InputError

TWO = Scale(seeds=2)


def rows(folder: Path, name: str = "cells.csv") -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_measured_cell_is_not_measured_again(make_study, carried_out, tmp_path):
    folder = reproduce(make_study(), TWO, tmp_path, lambda line: None)
    assert carried_out == [(1.0, 1), (2.0, 1), (1.0, 2), (2.0, 2)]  # everything once before anything twice
    page = (folder / "fake.md").read_text()
    reproduce(make_study(), TWO, tmp_path, lambda line: None)
    assert len(carried_out) == 4
    assert (folder / "fake.md").read_text() == page
    # more seeds and other levels are measured, the others kept
    reproduce(make_study((1.0, 3.0)), Scale(seeds=3), tmp_path, lambda line: None)
    assert carried_out[4:] == [(3.0, 1), (3.0, 2), (1.0, 3), (3.0, 3)]
    assert {row["level"] for row in rows(folder)} == {"1.0", "2.0", "3.0"}


def test_a_record_that_was_copied_is_as_good(make_study, carried_out, tmp_path):
    folder = reproduce(make_study(), TWO, tmp_path / "here", lambda line: None)
    there = tmp_path / "there" / "fake"
    there.mkdir(parents=True)
    for name in ("cells.csv", "curves.csv"):
        (there / name).write_text((folder / name).read_text())
    reproduce(make_study(), TWO, tmp_path / "there", lambda line: None)
    assert len(carried_out) == 4
    assert (there / "fake.md").read_text() == (folder / "fake.md").read_text()
    assert (there / "accuracy.svg").read_text() == (folder / "accuracy.svg").read_text()


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("no data")])
def test_an_interruption_loses_one_cell_and_says_what_is_missing(make_study, carried_out, tmp_path, error):
    def stop(folder: Path) -> None:
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        reproduce(make_study(fails={2.0: stop}), TWO, tmp_path, lambda line: None)
    folder = tmp_path / "fake"
    assert [row["status"] for row in rows(folder)] == ["done", "not run", "not run", "not run"]
    page = (folder / "fake.md").read_text()
    assert "1 of 4 cells" in page and "## Not run\n\n* level 2.0, rule fake, seed 1" in page
    told: list[str] = []
    reproduce(make_study(), TWO, tmp_path, told.append)
    assert [line.partition(":")[0] for line in told] == ["fake 2/4", "fake 3/4", "fake 4/4"]
    assert "Not run" not in (folder / "fake.md").read_text()


def test_a_row_has_seed_time_machine_and_versions(make_study, tmp_path):
    row = rows(reproduce(make_study(), TWO, tmp_path, lambda line: None))[0]
    assert (row["seed"], row["level"], row["note"], row["status"]) == ("1", "1.0", "a, b", "done")
    assert (
        float(row["wall_s"]) >= 0 and row["cpu"] and row["cores"] and row["python"] and row["torch"] and row["pairzero"]
    )


def test_the_table_has_means_with_their_intervals(make_study, tmp_path):
    folder = reproduce(make_study(), TWO, tmp_path, lambda line: None)
    # seeds 1 and 2: 0.511 and 0.512; half = t(0.975, 1) * sd / sqrt(2) = 12.706 * 0.0005
    assert rows(folder, "accuracy.csv")[0]["accuracy, %"] == "51.2 ± 0.6 (2)"
    assert rows(reproduce(make_study(), Scale(seeds=1), tmp_path / "one", lambda line: None), "accuracy.csv")[0][
        "accuracy, %"
    ] == ("51.1 (1)")
    assert (folder / "accuracy.png").stat().st_size > 5000


def test_a_cell_that_ended_early_is_told(make_study, tmp_path):
    folder = reproduce(make_study((13.0,)), Scale(seeds=1), tmp_path, lambda line: None)
    assert rows(folder)[0]["status"] == "stopped: the air is gone"
    assert (
        "## Ended early\n\n* level 13.0, rule fake, seed 1: stopped: the air is gone"
        in (folder / "fake.md").read_text()
    )


def test_an_unknown_study_and_a_bad_setting_are_explained(pairzero):
    assert "no such study; there are memory, " in pairzero("reproduce", "speed").err
    done = pairzero("reproduce", "snr", "--quick", "--set", "learning.rate")
    assert done.code == 2 and "expected section.key=value" in done.err


def test_what_cannot_begin_leaves_nothing_behind(pairzero, make_study, tmp_path):
    with pytest.raises(InputError, match="no data"):
        reproduce(make_study((-1.0,)), TWO, tmp_path / "new", lambda line: None)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "deeper"):
        done = pairzero("reproduce", "snr", "--quick", "--out", out)
        assert done.code == 2 and "there is a file of that name; name a folder" in done.err
    done = pairzero("reproduce", "memory", "--quick", "--model", "facebook/opt-125m", "--out", tmp_path)
    assert done.code == 2 and "builds models of its own sizes; leave --model out" in done.err
    done = pairzero("reproduce", "snr", "--set", f"task.root={tmp_path / 'none'}", "--out", tmp_path / "new")
    assert done.code == 2 and not (tmp_path / "new").exists()


def test_rows_and_page_say_what_was_changed(make_study, tmp_path):
    folder = reproduce(make_study(), TWO, tmp_path / "as-it-is", lambda line: None)
    assert "set" not in rows(folder)[0] and ", with" not in (folder / "fake.md").read_text()
    changes = {"learning.devices": 3, "task.root": "/data", "run.threads": 1}
    folder = reproduce(make_study(), Scale(seeds=1, overrides=changes), tmp_path / "changed", lambda line: None)
    assert {row["set"] for row in rows(folder)} == {"learning.devices = 3"}
    assert "Model embedded, with learning.devices = 3; 2 of 2 cells" in (folder / "fake.md").read_text()


def test_the_list_says_what_is_asked_what_is_there_and_how_long_the_rest_takes(pairzero):
    done = pairzero("reproduce", "list")
    assert done.code == 0 and "what does differential privacy cost in accuracy?" in done.out
    assert "50 cells, 0 measured; the rest takes about" in done.out and "task.root=DIR" in done.out


def test_another_file_in_the_record_s_place_is_refused(make_study, tmp_path):
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "cells.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"cells\.csv has no columns digest, seed, status"):
        reproduce(make_study(), TWO, tmp_path, lambda line: None)


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(start, tmp_path):
    long = ("--set", "learning.rounds=25")  # so that there is something left to be interrupted
    words = ("reproduce", "choices", "--quick", *long, "--out", tmp_path)
    page, cells = tmp_path / "choices-quick" / "choices.md", tmp_path / "choices-quick" / "cells.csv"
    command = start(*words)
    deadline = time.monotonic() + 120
    while not (cells.is_file() and ",done," in cells.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    command.kill(signal.SIGINT)
    assert command.wait() == 130, command.printed
    assert "Go on with the same command" in command.printed and "## Not run" in page.read_text()
    done = [row["digest"] for row in rows(cells.parent) if row["status"] == "done"]
    again = start(*words)
    assert again.wait() == 0, again.printed
    assert "## Not run" not in page.read_text()
    assert [row["digest"] for row in rows(cells.parent)][: len(done)] == done
