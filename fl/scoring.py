"""`pairzero evaluate`: a model's accuracy on a task's held-out data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fl.export import replay_run
from fl.interval import wilson_interval
from fl.likelihood import Likelihood, Score
from fl.models import load_model
from fl.run_folder import open_run
from fl.session import experiment_task, likelihood_of
from fl.tasks.registry import load_task
from fl.tasks.task import Task

MICRO_BATCH = 4


@dataclass(frozen=True)
class TaskScore:
    task: str
    score: Score
    floor: float

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.score.accuracy, self.score.examples)


def _score(likelihood: Likelihood, task: Task, limit: int | None = None) -> TaskScore:
    examples = [likelihood.encode(task.prompt(e), e.target) for e in task.test[:limit]]
    return TaskScore(task.name, likelihood.evaluate(examples), task.chance_floor)


def score_model(source: str, task: str, root: str | None, seed: int) -> TaskScore:
    data = load_task(task, seed=seed, devices=1, root=root)
    return _score(likelihood_of(load_model(source), data, MICRO_BATCH), data)


def score_run(run: Path, task: str | None, root: str | None) -> TaskScore:
    """The weights a run's journal replays to, on the run's own task or another."""
    experiment = open_run(run).experiment
    replica = replay_run(run)
    if task is None or (task == experiment.task.name and root in (None, experiment.task.root)):
        return _score(replica.likelihood, experiment_task(experiment), experiment.task.test_examples)
    data = load_task(task, seed=experiment.run.seed, devices=1, root=root)
    return _score(likelihood_of(replica.model, data, MICRO_BATCH), data)
