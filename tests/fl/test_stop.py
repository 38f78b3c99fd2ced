"""An interrupt that comes too late for a run is meant for what comes after it."""

from __future__ import annotations

import signal

import pytest

from fl.journal import Journal
from fl.run_folder import open_run
from fl.stop import Stop, Terminated
from fl.studies.training import Run
from fl.sweep import Cell, run_cell


@pytest.fixture
def last_round(monkeypatch):
    """Interrupts a run of two rounds when the last is committed."""

    def arranged(number):
        commit = Journal.commit

        def last(self, *args, **options):
            commit(self, *args, **options)
            if self.history.rounds == 2:
                signal.raise_signal(number)

        monkeypatch.setattr(Journal, "commit", last)

    return arranged


def test_what_was_asked_is_obeyed_once_somebody_looks():
    stop = Stop()
    stop.obey()
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        stop.obey()


def test_a_sweep_goes_no_further(last_round, make_experiment, tmp_path):
    last_round(signal.SIGINT)
    cell = Cell({}, tmp_path / "run", make_experiment({"learning.rounds": 2}))
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell)
    assert open_run(cell.path).summary["finished"] and run_cell(cell)["rounds"] == 2


def test_a_study_goes_no_further(last_round, make_experiment, tmp_path):
    last_round(signal.SIGTERM)
    run = Run(make_experiment({"learning.rounds": 2}))
    with pytest.raises(Terminated):
        run.carry_out(tmp_path)
    assert run.carry_out(tmp_path).figures["rounds"] == 2
