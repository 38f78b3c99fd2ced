"""Everything a run needs in one process, built from its experiment: model, task, devices, air and transport."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fl.config import Experiment
from fl.device import Device
from fl.likelihood import Encoded, OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.rounds import Limits
from fl.tasks import partition
from fl.tasks.registry import load_task
from fl.tasks.task import Task, digest_examples
from privacy.accounting import Charge, noise_multiplier
from privacy.grid import Grid
from privacy.identity import keyed_digest
from privacy.ledger import Budget, Ledger, Owner, PoolLedger
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret, Secret, SystemSecret
from privacy.sampling import accounted_rate
from radio.air import Air
from radio.errors import InputError
from radio.modes import open_air
from radio.radio import Radio
from radio.streams import stream


def experiment_task(experiment: Experiment) -> Task:
    """The task with its training examples for all devices.  Raises InputError where there are too few."""
    wanted = experiment.learning.devices * experiment.task.examples_per_device
    return load_task(
        experiment.task.name,
        seed=experiment.run.seed,
        devices=experiment.learning.devices,
        train_examples=wanted,
        root=experiment.task.root,
    )


def build_replica(experiment: Experiment, task: Task) -> Replica:
    set_threads(experiment)
    model = load_model(experiment.model.source)
    likelihood = OptionLikelihood(model, task.options, experiment.learning.micro_batch)
    return Replica(model, likelihood, experiment.learning.parameters)


def set_threads(experiment: Experiment) -> None:
    import torch

    if experiment.run.threads is not None:
        torch.set_num_threads(experiment.run.threads)


def build_air(experiment: Experiment, listen: Callable[[Radio], Radio] | None = None) -> Air:
    """The air of the experiment; `listen` wraps its receiver, if it has one."""
    return open_air(experiment.learning.devices, experiment.run.seed, listen=listen, **experiment.radio.model_dump())


def charge_of(experiment: Experiment) -> Charge | None:
    """What a round costs every device: noise sized for all rounds and spares; None when privacy is off."""
    if not experiment.privacy.enabled:
        return None
    rate = accounted_rate(experiment.sampling_rate)
    budget = experiment.privacy
    return Charge(rate, noise_multiplier(budget.epsilon, budget.delta, rate, experiment.slots))


@dataclass(frozen=True)
class HeldOut:
    """Public test examples: all of them, and the few that are looked at during the run."""

    full: Sequence[Encoded]
    quick: Sequence[Encoded]


def held_out(experiment: Experiment, task: Task, likelihood: OptionLikelihood) -> HeldOut:
    test = task.test[: experiment.task.test_examples]
    full = [likelihood.encode(task.prompt(e), e.label) for e in test]
    order = stream(experiment.run.seed, "evaluation subset").permutation(len(full))
    return HeldOut(full, [full[i] for i in order[: experiment.run.evaluate_examples]])


def is_public(experiment: Experiment, task: Task) -> bool:
    return task.public if experiment.task.public is None else experiment.task.public


def ledger_folder(experiment: Experiment, task: Task, run: Path) -> Path:
    """Where the ledgers are: the folder of `privacy.ledger`; for public data one that is thrown away with the run; else the
    user's own, shared by all runs (`$XDG_DATA_HOME/pairzero/ledgers`).  Raises InputError for a folder inside the run."""
    if experiment.privacy.ledger is None:
        if is_public(experiment, task):
            return run / "ledger"
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "pairzero" / "ledgers"
    named = Path(experiment.privacy.ledger).expanduser()
    if named.resolve().is_relative_to(run.resolve()):
        raise InputError(
            f"privacy.ledger = {str(named)!r} lies inside the run folder {run}; a ledger must outlive its runs"
        )
    return named


def is_throw_away(experiment: Experiment, task: Task) -> bool:
    return experiment.privacy.ledger is None and is_public(experiment, task)


def task_identity(experiment: Experiment, task: Task, ledgers: Path) -> str:
    """What the journal remembers the data by: the digest of public data; private data's only under the owner's key."""
    return task.digest if is_public(experiment, task) else keyed_digest(ledgers, task.digest)


def build_devices(
    experiment: Experiment, task: Task, likelihood: OptionLikelihood, charge: Charge | None, ledgers: Path
) -> list[Device]:
    """The K devices with their shares of the data, secrets, mechanism and open ledgers (the caller closes them)."""
    learning, privacy, seed = experiment.learning, experiment.privacy, experiment.run.seed
    if experiment.task.partition == "iid":
        shares = partition.iid(len(task.train), learning.devices, seed)
    else:
        labels = [e.label for e in task.train]
        shares = partition.dirichlet(labels, learning.devices, experiment.task.dirichlet_alpha, seed)
    grid = Grid(privacy.clip, learning.batch)
    mechanism = None if charge is None else OwnNoise(grid, learning.perturbations, charge)
    budget, enforce = Budget(privacy.epsilon, privacy.delta), not privacy.reproducible
    devices: list[Device] = []
    pool: Ledger | None = None
    try:
        if charge is not None and not is_throw_away(experiment, task):
            # Seeds, K and partitions deal the same examples out differently, so the budget is the data set's, not a share's.
            name = keyed_digest(ledgers, task.pool)
            pool = PoolLedger(
                ledgers / f"{name[:32]}.jsonl", Owner(f"{task.name} (all devices)", name), budget, enforce
            )
        for k, share in enumerate(shares):
            own = [task.train[i] for i in share]
            name = f"device-{k}"
            ledger = pool
            if charge is not None and pool is None:
                data = digest_examples(own)
                ledger = Ledger(ledgers / f"{data[:32]}.jsonl", Owner(name, data), budget, enforce)
            devices.append(
                Device(
                    name=name,
                    examples=[likelihood.encode(task.prompt(e), e.label) for e in own],
                    rate=experiment.sampling_rate,
                    grid=grid,
                    secret=_secret(experiment, k),
                    mechanism=mechanism,
                    ledger=ledger,
                )
            )
    except BaseException:
        close_ledgers(devices)
        if pool is not None:
            pool.close()
        raise
    return devices


def ledgers_of(devices: Sequence[Device]) -> list[Ledger]:
    """The devices' ledgers, each once."""
    return list({id(d.ledger): d.ledger for d in devices if d.ledger is not None}.values())


def close_ledgers(devices: Sequence[Device]) -> None:
    for device in devices:
        if device.ledger is not None:
            device.ledger.close()


def _secret(experiment: Experiment, device: int) -> Secret:
    """Where a device's batches and noise come from.  With privacy off nothing is secret, so the run may be repeatable."""
    if experiment.privacy.enabled and not experiment.privacy.reproducible:
        return SystemSecret()
    return ReproducibleSecret(experiment.run.seed, "device", device)


def limits_of(experiment: Experiment, devices: Sequence[Device]) -> Limits:
    return Limits(
        saturation=experiment.privacy.clip,
        noise_std=float(np.max([d.noise_std for d in devices])),
        backoff=experiment.privacy.backoff,
        truncation=experiment.radio.truncation,
    )
