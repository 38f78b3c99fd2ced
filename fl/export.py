"""A run's model from its journal: the weights are the replay of what was committed, nothing else is stored."""

from __future__ import annotations

from pathlib import Path

from fl.config import Experiment
from fl.journal import read_history
from fl.lora import merge_adapters
from fl.models import LanguageModel
from fl.replica import Replica
from fl.run_folder import open_run
from fl.session import build_replica, experiment_task
from radio.errors import InputError


def replay_run(run: Path) -> Replica:
    """The replica after every committed round of a run.  Raises InputError if the start or the end does not match."""
    folder, history = open_run(run), read_history(run)
    if history.model is None:
        raise InputError(
            f"{run} stopped before its first round; there is nothing to replay: continue it with --resume {run}"
        )
    replica = build_replica(_full_precision(folder.experiment), experiment_task(folder.experiment))
    if (start := replica.digest()) != history.model["digest"]:
        raise InputError(
            f"the model {folder.experiment.model.source!r} has digest {start[:16]}, the run began with "
            f"{history.model['digest'][:16]}; restore the model the run was started with"
        )
    replica.replay(history.updates)
    if (
        history.stop is not None
        and history.stop["reason"] != "interrupted"
        and history.stop["digest"] != replica.digest()
    ):
        raise InputError(f"the replay of {run} does not give the weights the run ended with; the journal was altered")
    return replica


def _full_precision(experiment: Experiment) -> Experiment:
    """The weights are fp32 whatever the forward pass was computed in, and so is what is exported and evaluated."""
    return experiment.model_copy(update={"model": experiment.model.model_copy(update={"forward": "fp32"})})


def export(run: Path, out: Path) -> LanguageModel:
    """Write the fine-tuned model of `run` to `out` as a Hugging Face folder, in fp32: exactly the replayed weights."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; name another place for the exported model")
    model = replay_run(run).model
    merge_adapters(model.network)
    model.save(out)
    return model
