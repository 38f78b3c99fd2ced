"""A team does every job once, on torch's OpenMP threads or on its own, and passes errors on."""

from __future__ import annotations

import sys
import threading
from functools import partial

import pytest

from fl import team as module
from fl.team import Team


@pytest.fixture(params=["openmp", "pool"])
def team(request, monkeypatch):
    import torch

    torch.ones(1)  # loads the runtime
    if request.param == "pool":
        monkeypatch.setattr(module, "_openmp", lambda: None)
    return Team(2)


def test_every_job_is_done_once(team):
    done: list[int] = []
    for jobs in (0, 1, 2, 37):
        done.clear()
        team.run([partial(done.append, i) for i in range(jobs)])
        assert sorted(done) == list(range(jobs))


def test_two_threads_work_at_the_same_time(team):
    meet = threading.Barrier(2, timeout=10)
    team.run([lambda: meet.wait() and None] * 2)  # one thread alone would break the barrier


def test_the_first_error_is_raised_and_the_team_is_good_for_more(team):
    with pytest.raises(ValueError, match="broken"):
        team.run([partial(int, "1"), _broken, partial(int, "1")])
    done: list[int] = []
    team.run([partial(done.append, 1)])
    assert done == [1]


def _broken() -> None:
    raise ValueError("broken")


def test_no_second_runtime_is_loaded_where_there_is_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert module._openmp() is None
