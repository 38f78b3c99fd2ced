"""Cells that train: an ordinary run of ours, with its folder, or any algorithm of `fl.baselines.harness`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import exp
from pathlib import Path
from typing import Any

from fl.config import Experiment
from fl.stop import Stop, Terminated
from fl.studies.budget import work_a_round
from fl.studies.cell import INDIFFERENT, LATER
from fl.studies.outcome import Outcome, Point, Value
from radio.errors import StoppedEarly

FORWARDS_A_SECOND = 640.0  # examples, embedded model, two cores: 4 rounds of five devices, 16 examples and 2 passes
OVERHEAD_S = 8.0  # loading, accounting, the report
MANY = 20  # devices from which on one ledger for all saves more than it explains


@dataclass(frozen=True)
class Run:
    """An experiment as `pairzero run` runs it; interrupted, it goes on where its journal stands."""

    experiment: Experiment

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"work": "run", "experiment": _identity(self.experiment)}

    @property
    def seconds(self) -> float:
        return _seconds("run", self.experiment, {})

    def check(self) -> None:
        _check(self.experiment)

    def carry_out(self, folder: Path) -> Outcome:
        from fl.run import execute, finished_summary
        from fl.run_folder import create, is_run, open_run

        experiment = self.experiment
        if experiment.learning.devices > MANY and experiment.privacy.enabled and experiment.privacy.ledger is None:
            ledgers = {"ledger": str((folder / "ledgers").resolve())}
            experiment = experiment.model_copy(update={"privacy": experiment.privacy.model_copy(update=ledgers)})
        run, stopped = folder / "run", ""
        opened = open_run(run) if is_run(run) else create(run, experiment)
        summary = finished_summary(opened)
        if summary is None:
            stop = Stop()
            try:
                summary = execute(opened, quiet=True, stop=stop)
            except Terminated:
                raise
            except StoppedEarly as early:  # the air cannot carry it: a result, too
                summary, stopped = opened.summary or {}, str(early)
            stop.obey()  # a Ctrl-C in its last round is meant for the next cell
        figures = _figures(summary, experiment)
        return Outcome(figures, _curve(run, figures), stopped)


@dataclass(frozen=True)
class Train:
    """A named algorithm on an experiment; interrupted, it begins anew."""

    name: str
    experiment: Experiment
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prepared(self) -> Experiment:
        from fl.baselines.harness import prepare

        return prepare(self.name, self.experiment, self.experiment.learning.rounds, self.changes)

    @property
    def identity(self) -> Mapping[str, Any]:
        from fl.baselines.harness import PRESETS

        options = {**PRESETS[self.name].options, **self.options}
        return {"work": self.name, "experiment": _identity(self.prepared), "options": options}

    @property
    def seconds(self) -> float:
        return _seconds(self.name, self.prepared, self.options)

    def check(self) -> None:
        _check(self.experiment)

    def carry_out(self, folder: Path) -> Outcome:
        from fl.baselines.harness import train

        rounds, every = self.experiment.learning.rounds, self.prepared.run.evaluate_every
        curve = train(self.name, self.experiment, rounds, every, self.changes, **self.options)
        points = tuple(
            Point(r, c.forwards, c.backwards, c.uplink_uses, c.uplink_bits, loss, accuracy)
            for r, c, loss, accuracy in zip(curve.rounds, curve.cost, curve.loss, curve.accuracy, strict=True)
        )
        last = points[-1]
        figures: dict[str, Value] = {
            "accuracy": last.accuracy, "loss": last.loss, "perplexity": exp(last.loss), "zero_shot_accuracy": points[0].accuracy,
            "chance_floor": curve.chance_floor, "rounds": last.round, "forwards": last.forwards,
            "backwards": last.backwards, "uplink_uses": last.uplink_uses, "uplink_bits": last.uplink_bits,
            "trainable": curve.trainable,
        }  # fmt: skip
        return Outcome(figures, points)


def _check(experiment: Experiment) -> None:
    from fl.session import experiment_task

    experiment_task(experiment)


def _identity(experiment: Experiment) -> dict[str, Any]:
    """The experiment without what only says where things are and how forwards are divided (which moves losses by their last
    bits), and with the weights a local model really has."""
    raw = experiment.model_dump(mode="json")
    for name in INDIFFERENT:
        section, _, key = name.partition(".")
        raw[section].pop(key)
    for name, before in LATER.items():
        section, _, key = name.partition(".")
        if raw[section][key] == before:
            raw[section].pop(key)
    raw["model"]["source"] = model_identity(experiment.model.source)
    if experiment.task.name.endswith(".toml"):
        raw["task"]["name"] = hashlib.sha256(Path(experiment.task.name).read_bytes()).hexdigest()
    return raw


@lru_cache(maxsize=8)
def model_identity(source: str) -> str:
    """A hub id as it is; of a folder the digest of its weights."""
    from fl.models import EMBEDDED

    folder = EMBEDDED if source == "embedded" else Path(source)
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        return source
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:16]


def _seconds(name: str, experiment: Experiment, options: Mapping[str, Any]) -> float:
    work = experiment.learning.rounds * work_a_round(name, experiment, options)
    return OVERHEAD_S + (work + _evaluated(experiment)) / FORWARDS_A_SECOND


def _evaluated(experiment: Experiment) -> float:
    """Held-out examples looked at, about; SST-2's development set for a test split of unknown size."""
    run, task = experiment.run, experiment.task
    full = min(task.test_examples or 872, 872) if task.held_out != "validation" else 0
    full += task.validation_examples if task.held_out != "test" else 0
    return 2.0 * full + experiment.learning.rounds / run.evaluate_every * min(run.evaluate_examples, full)


FIGURES = (
    "accuracy", "f1", "loss", "zero_shot_accuracy", "chance_floor", "bow_accuracy", "rounds", "slots", "erased",
    "noise_multiplier", "aggregate_nmse_db", "received_snr_db", "full_scale_snr_db", "peak_rss_mib", "train_s",
    "uplink_bits_per_device", "first_order_bits_per_device", "trainable",
)  # fmt: skip


def _figures(summary: Mapping[str, Any], experiment: Experiment) -> dict[str, Value]:
    learning = experiment.learning
    found: dict[str, Value] = {key: summary.get(key) for key in FIGURES}
    # under names of their own, and those that all algorithms share; a secret batch counts with its expected size
    found["uplink_uses"] = summary.get("channel_uses")
    found["epsilon_spent"] = summary.get("epsilon")
    found["perplexity"] = exp(summary["loss"]) if "loss" in summary else None
    each = learning.devices * learning.batch * summary.get("forward_passes", 0.0)
    found["forwards"] = summary.get("slots", 0) * each
    return found


def _curve(run: Path, figures: Mapping[str, Any]) -> tuple[Point, ...]:
    """Costs in proportion to rounds: erased slots are spread over them."""
    from fl.journal import read_history

    rounds = max(1, figures.get("rounds") or 0)
    forwards, uses = (figures.get(key) or 0.0 for key in ("forwards", "uplink_uses"))
    # of two evaluations of one round the last, on all examples, counts
    seen = {record["round"]: record for record in read_history(run).evaluations}
    return tuple(
        Point(r, forwards * r / rounds, 0.0, uses * r / rounds, 0.0, record["loss"], record["accuracy"])
        for r, record in sorted(seen.items())
    )
