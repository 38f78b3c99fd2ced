"""Sweeps: the grid, cells that are normal runs, tables with intervals over seeds, and going on where a sweep was stopped."""

from __future__ import annotations

import csv
import math

import pytest

from fl import sweep as module
from fl.interval import student_half
from fl.journal import read_history
from fl.run_folder import is_run, open_run
from fl.sweep import parse_grid
from radio.errors import InputError, StoppedEarly

QUICK = ("--set", "learning.rounds=2", "--set", "task.test_examples=20")


@pytest.fixture
def file(make_experiment, tmp_path):
    path = tmp_path / "e.toml"
    path.write_text(make_experiment({"run.evaluate_every": 100, "privacy.enabled": False}).to_toml())
    return path


def test_a_grid_is_keys_and_their_values():
    texts = ["learning.mu=0.01,0.02", "radio.mode = ideal , coherent", 'learning.parameters=["*","a,b"],["*bias"]']
    assert parse_grid(texts) == {
        "learning.mu": ["0.01", "0.02"],
        "radio.mode": ["ideal", "coherent"],
        "learning.parameters": ['["*","a,b"]', '["*bias"]'],
    }


@pytest.mark.parametrize("texts", [["learning.mu"], ["=1,2"], ["learning.mu=0.1,,0.2"], ["a.b=1", "a.b=2"]])
def test_a_grid_that_makes_no_sense_is_refused(texts):
    with pytest.raises(InputError, match="--grid"):
        parse_grid(texts)


def test_the_interval_is_students():
    # t(0.975, 2 degrees) = 4.302653; standard deviation of 1, 2, 3 is 1
    assert student_half([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert student_half([1.0]) is None


def test_a_sweep_runs_every_cell_once_and_tables_it(file, pairzero, tmp_path, monkeypatch):
    out = tmp_path / "sweep"
    words = ("sweep", file, "--grid", "learning.mu=0.01,0.02", "--seeds", "2", "--out", out, *QUICK)
    executed = []
    execute = module.execute

    def until_the_third(folder, **options):
        executed.append(folder.path)
        if len(executed) == 3:
            raise StoppedEarly("the air is gone")
        return execute(folder, **options)

    monkeypatch.setattr(module, "execute", until_the_third)
    first = pairzero(*words)
    assert first.code == 3 and "1 of 4 runs are not finished" in first.err
    runs = [out / f"learning.mu={mu}" / f"seed-{seed}" for mu in ("0.01", "0.02") for seed in (11, 12)]
    assert executed == runs and all(map(is_run, runs))
    assert [open_run(r).experiment.learning.mu for r in runs] == [0.01, 0.01, 0.02, 0.02]
    assert [open_run(r).experiment.run.seed for r in runs] == [11, 12, 11, 12]
    assert len(list(csv.reader((out / "runs.csv").open()))) == 1 + 3  # of what is finished there is a table
    second = pairzero(*words)
    assert second.code == 0, second.err
    assert executed[4:] == [runs[2]]  # the others were finished
    rows = list(csv.DictReader((out / "runs.csv").open()))
    assert [(r["learning.mu"], r["seed"]) for r in rows] == [
        ("0.01", "11"), ("0.01", "12"), ("0.02", "11"), ("0.02", "12"),
    ]  # fmt: skip
    assert [r["params_digest"] for r in rows] == [read_history(r).stop["digest"] for r in runs]
    lines = (out / "sweep.md").read_text().splitlines()
    accuracies = [float(r["accuracy"]) for r in rows[:2]]
    mean, half = 50 * sum(accuracies), 100 * student_half(accuracies)
    assert lines[2].startswith(f"| 0.01 | 2 | {mean:.1f} ± {half:.1f} % | 50.0 % |") and len(lines) == 4
    other = pairzero(*words, "--set", "learning.rounds=3")
    assert other.code == 3 and "holds a run of another experiment" in other.err


def test_settings_that_are_not_allowed_are_refused_before_anything_runs(file, pairzero, tmp_path):
    ended = pairzero("sweep", file, "--grid", "learning.mu=0.01,7", "--out", tmp_path / "sweep")
    assert ended.code == 2 and "learning.mu" in ended.err and not (tmp_path / "sweep").exists()
    ended = pairzero("sweep", file, "--grid", "run.seed=1,2", "--seeds", "2", "--out", tmp_path / "sweep")
    assert ended.code == 2 and "both choose seeds" in ended.err
    ended = pairzero("sweep", file)
    assert ended.code == 2 and "--out" in ended.err


@pytest.mark.engines
def test_a_sweep_over_ray_has_the_runs_of_one_without(ray_here, file, pairzero, tmp_path):
    words = ("sweep", file, "--grid", "learning.mu=0.01,0.02", *QUICK)
    digests = []
    for out, more in ((tmp_path / "ray", ("--ray", "2")), (tmp_path / "here", ())):
        ended = pairzero(*words, "--out", out, *more)
        assert ended.code == 0, ended.err
        digests.append([row["params_digest"] for row in csv.DictReader((out / "runs.csv").open())])
    assert digests[0] == digests[1] and len(set(digests[0])) == 2


@pytest.mark.engines
def test_runs_about_the_same_private_data_do_not_go_side_by_side(make_experiment, pairzero, tmp_path):
    file = tmp_path / "e.toml"
    file.write_text(make_experiment({"task.public": False, "privacy.ledger": str(tmp_path / "ledgers")}).to_toml())
    ended = pairzero("sweep", file, "--seeds", "2", "--ray", "2", "--out", tmp_path / "sweep")
    assert ended.code == 2 and "charge one ledger" in ended.err
