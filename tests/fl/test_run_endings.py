"""Runs that are refused or end early: they say why, keep what they have, and go on where they can."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal

import pytest

from bench.forks import until_committed
from fl.export import replay_run
from fl.journal import Journal, read_history
from fl.run import execute, finished_summary
from fl.run_folder import DEVICES, create, open_run
from radio.errors import BudgetError, InputError, StoppedEarly


def test_ctrl_c_stops_in_order_and_the_run_goes_on_later(make_experiment, start, tmp_path):
    run, file = tmp_path / "run", tmp_path / "experiment.toml"
    file.write_text(make_experiment({"learning.rounds": 60}).to_toml())
    command = start("run", file, "--out", run)
    until_committed(run, 3, [command])
    command.kill(signal.SIGINT)
    assert command.wait() == 130, command.printed
    assert f"pairzero run --resume {run}" in command.printed.replace("\n", "")
    history, summary = read_history(run), json.loads((run / "summary.json").read_text())
    assert history.stop["reason"] == "interrupted"
    assert not summary["finished"]
    assert 3 <= history.rounds == summary["rounds"] < 60
    assert replay_run(run).digest() == history.stop["digest"] == summary["params_digest"]
    assert (run / "report.html").is_file()
    # the folder is refused to a second writer, and to an edited experiment
    journal = Journal(run)
    second = start("run", "--resume", run)
    assert second.wait() == 2
    assert "in use by another process" in second.printed
    journal.close()
    rest = start("run", "--resume", run, "--quiet")
    assert rest.wait() == 0, rest.printed
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["finished"], summary["rounds"], summary["burned"], summary["resumed"]) == (True, 60, 0, 1)


def test_a_run_of_a_lab_is_not_carried_on_alone(make_experiment, tmp_path):
    folder = create(tmp_path / "run", make_experiment({}))
    (folder.path / DEVICES).write_text("[]\n")
    with pytest.raises(InputError, match=r"processes of their own.* pairzero server --resume"):
        execute(folder, quiet=True)
    assert not (folder.path / "ledger").exists()


def test_an_interrupt_in_the_last_round_still_ends_with_the_final_evaluation(make_experiment, tmp_path, monkeypatch):
    folder = create(tmp_path / "run", make_experiment({"learning.rounds": 2}))
    real = Journal.commit

    def last(self, *args, **options):
        real(self, *args, **options)
        if self.history.rounds == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Journal, "commit", last)
    summary = execute(folder, quiet=True)
    assert summary["finished"]
    assert read_history(folder.path).evaluations[-1]["final"]


def test_a_spent_budget_ends_the_run_early_with_its_results_written(make_experiment, tmp_path):
    ledgers = tmp_path / "ledgers"
    changes = {"privacy.ledger": str(ledgers)}
    folder = create(tmp_path / "run", make_experiment(changes))
    real, rounds = Journal.commit, 0

    def spend_elsewhere(self, *args, **options):
        """Meanwhile, another run uses the data up."""
        nonlocal rounds
        real(self, *args, **options)
        rounds += 1
        if rounds == 3:
            from privacy.ledger import Ledger

            for ledger in opened:
                while ledger.remaining(charge := ledger.spent()[0][0]) > 0:
                    Ledger.charge(ledger, "another run", len(ledger.slots("another run")), charge)

    from privacy import ledger as module

    opened: list = []
    begin = module.Ledger.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Ledger, "__init__", lambda self, *a, **o: (begin(self, *a, **o), opened.append(self))[0])
        patch.setattr(Journal, "commit", spend_elsewhere)
        with pytest.raises(BudgetError, match="holds no further round; nothing was transmitted"):
            execute(folder, quiet=True)
    history, summary = read_history(folder.path), folder.summary
    assert history.stop["reason"] == "budget"
    assert summary["finished"]
    assert summary["rounds"] == 3
    assert summary["epsilon"] <= 0.5
    assert (folder.path / "report.html").is_file()
    # and a next run on the same data is refused before its first round
    again = create(tmp_path / "again", make_experiment(changes))
    with pytest.raises(BudgetError, match=r"holds 0 more rounds of this run's kind, but\s+the run needs 14"):
        execute(again, quiet=True)
    assert read_history(again.path).rounds == 0


def test_a_ledger_too_small_for_the_local_steps_is_noticed_at_the_start(make_experiment, tmp_path):
    changes = {"privacy.ledger": str(tmp_path / "ledgers"), "learning.rounds": 2}
    execute(create(tmp_path / "a", make_experiment(changes)), quiet=True)
    again = create(tmp_path / "b", make_experiment({**changes, "learning.local_steps": 3}))
    with pytest.raises(BudgetError, match=r"more releases of .* needs 30 with its spares and 3 local steps a round"):
        execute(again, quiet=True)


def test_a_changed_model_or_task_is_not_resumed(make_experiment, tmp_path, tiny_model):
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    folder = create(tmp_path / "run", make_experiment({"model.source": str(model)}))
    journal = Journal(folder.path)
    journal.model(digest="00" * 32, parameters=1, trainable=1, task="11" * 32, source=str(model))
    journal.close()
    with pytest.raises(InputError, match=r"model of .* has changed since the run began"):
        execute(folder, quiet=True)


def test_a_full_disk_is_explained_and_the_run_can_be_resumed(make_experiment, tmp_path, monkeypatch):
    folder = create(tmp_path / "run", make_experiment({"privacy.reproducible": True, "learning.rounds": 3}))
    real, written = os.write, 0

    def full(file, data):
        nonlocal written
        if b'"type":"round"' in data:
            written += 1
            if written == 2:
                real(file, data[:20])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InputError, match=r"journal.jsonl: No space left on device; free some space and resume"):
            execute(folder, quiet=True)
    assert read_history(folder.path).rounds == 1
    assert execute(open_run(folder.path), quiet=True)["rounds"] == 3


def test_an_air_that_erases_everything_stops_the_run_with_exit_code_3(make_experiment, tmp_path, monkeypatch):
    from fl import rounds

    monkeypatch.setattr(rounds, "ERASURES_IN_A_ROW", 4)
    folder = create(tmp_path / "deaf", make_experiment({"radio.snr_db": -60.0}))
    with pytest.raises(StoppedEarly, match="4 slots in a row were erased") as stopped:
        execute(folder, quiet=True)
    assert stopped.value.exit_code == 3
    history = read_history(folder.path)
    assert history.erased == 4 and history.rounds == 0
    assert history.stop["reason"] == "erasures"
    assert (folder.path / "report.html").is_file()
    assert finished_summary(folder) is None
