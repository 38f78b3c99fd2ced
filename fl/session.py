"""Everything a run needs in one process, built from its experiment: model, task, devices, air and transport."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fl import placement
from fl.config import Experiment
from fl.decoder import depth, place
from fl.device import Device
from fl.directions.direction import Direction, Values
from fl.directions.registry import direction
from fl.directions.split import Split
from fl.estimators.registry import estimator
from fl.functional import Functional
from fl.guarantee import Guarantee, grid_of
from fl.likelihood import Encoded, Likelihood, OptionLikelihood
from fl.models import LanguageModel, load_model
from fl.replica import Replica
from fl.tasks import partition
from fl.tasks.registry import load_task
from fl.tasks.task import Task, digest_examples
from fl.written import AnswerLikelihood
from privacy.identity import keyed_digest
from privacy.ledger import Budget, Ledger, Owner, PoolLedger
from privacy.noise import ReproducibleSecret, Secret, SystemSecret
from privacy.threats import OWN_NOISE
from privacy.unit import DEVICE
from radio.absence import Absence, SparseAir
from radio.air import Air
from radio.errors import BudgetError, InputError
from radio.modes import open_air
from radio.radio import Radio
from radio.streams import stream

OWN_LEDGERS = (
    256  # devices of a study up to which each has a ledger of its own: each is an open file, synced every round
)
SMALL = 512  # width of a model up to which a forward is left to one thread

Arrays = Mapping[str, Values]


def experiment_task(experiment: Experiment) -> Task:
    """The task with its training examples for all devices.  Raises InputError where there are too few, and where a yardstick
    without privacy would be trained on private ones."""
    wanted = experiment.learning.devices * experiment.task.examples_per_device
    task = load_task(
        experiment.task.name,
        seed=experiment.run.seed,
        devices=experiment.learning.devices,
        train_examples=wanted,
        root=experiment.task.root,
        validation=experiment.task.validation_examples,
        held_out=experiment.task.held_out,
    )
    if experiment.run.first_order and not task.options:
        raise InputError(
            f"run.first_order chooses between options, and {task.name} is answered in writing; leave it out"
        )
    if experiment.run.first_order and not is_public(experiment, task):
        raise InputError(
            "run.first_order trains on the data without any privacy, so it is for public data only; "
            "leave it out, or declare the data public with task.public = true"
        )
    return task


def build_replica(
    experiment: Experiment, task: Task, offload: Path | None = None, device_map: str | None = None
) -> Replica:
    """The replica at the start, its weights in memory, in a mapped file (`fl.mapped`) or on devices (`fl.placement`)."""
    threads = experiment.run.threads or os.cpu_count() or 1
    half = experiment.model.forward == "bf16"
    model = load_model(experiment.model.source, experiment.model.lora_rank, experiment.model.lora_alpha, offload)
    if experiment.model.lora_rank and not any("lora_" in name for name in model.select(experiment.learning.parameters)):
        raise InputError(
            f"model.lora_rank = {experiment.model.lora_rank}, but learning.parameters = "
            f'{list(experiment.learning.parameters)} trains no adapter; use learning.parameters = ["*lora_*"]'
        )
    if device_map is not None:
        moving = sum(math.prod(a.shape) for a in model.select(experiment.learning.parameters).values())
        placement.place(model.network, device_map, beside=2 * moving if half else 0)
    # a small model's forwards run side by side on one thread each: sharing its short products costs more than it gives
    side_by_side = model.network.config.hidden_size <= SMALL
    set_threads(1 if side_by_side else threads)
    workers = threads if side_by_side and set(placement.placed(model.network)) == {"cpu"} else 1
    likelihood = likelihood_of(model, task, experiment.learning.micro_batch, workers)
    learning = experiment.learning
    trained = model.select(learning.parameters)
    z = direction(
        learning.direction,
        trained,
        density=learning.density,
        mask=learning.mask,
        rank=learning.rank,
        seed=experiment.run.seed,
    )
    blocks = depth(model.network)
    cut = blocks // 2 if learning.split_layer is None else learning.split_layer
    if learning.estimator == "split":
        z = _split(z, cut, blocks, trained)
    return Replica(
        model,
        likelihood,
        learning.parameters,
        z,
        estimator(learning.probe, cut, blocks),
        threads,
        half=half,
        functional=_functional(experiment, model, trained, z),
    )


def likelihood_of(model: LanguageModel, task: Task, micro_batch: int, workers: int = 1) -> Likelihood:
    """How the task is scored: by its options, or by what is written."""
    if task.options:
        return OptionLikelihood(model, task.options, micro_batch, workers)
    return AnswerLikelihood(model, micro_batch, workers)


def _split(base: Direction, cut: int, blocks: int, trained: Collection[str]) -> Direction:
    if not 0 < cut < blocks:
        raise InputError(
            f"learning.split_layer = {cut} of a model with {blocks} decoder blocks; allowed: 1 to {blocks - 1}, so that "
            "either side of the cut has a block"
        )
    lower = [name for name in trained if place(name, blocks) < cut]
    if not 0 < len(lower) < len(trained):
        side = "below" if lower else "above"
        raise InputError(
            f"learning.estimator = 'split' cut before block {cut}, but everything that learning.parameters selects lies "
            f"{side} the cut; train more, move learning.split_layer, or use the central estimator"
        )
    return Split(base, lower)


def _functional(experiment: Experiment, model: LanguageModel, trained: Arrays, z: Direction) -> bool:
    """Whether losses are evaluated without touching the weights: a function of settings and model only, because everybody's
    log must say the same of a probe."""
    learning = experiment.learning
    if learning.estimator == "split" or learning.functional is False:
        return False
    possible = Functional.supports(model.network, trained, z)
    if learning.functional and not possible:
        matrix = next((n for n, a in trained.items() if a.ndim > 1), next(iter(trained)))
        raise InputError(
            f"learning.functional = true, but learning.parameters selects {matrix}, which cannot be evaluated functionally "
            f"with learning.direction = {learning.direction!r}; allowed: gains and biases, and with low-rank the matrices of "
            "linear layers and embeddings. Leave learning.functional out"
        )
    return possible


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def build_air(experiment: Experiment, listen: Callable[[Radio], Radio] | None = None) -> Air:
    """The air of the experiment, absences included; `listen` wraps its receiver, if it has one."""
    learning, seed = experiment.learning, experiment.run.seed
    air = open_air(learning.devices, seed, listen=listen, **experiment.radio.air_settings)
    if not learning.absent and not learning.silent:
        return air
    return SparseAir(air, Absence(seed, learning.absent, learning.absent_rounds, learning.silent))


@dataclass(frozen=True)
class HeldOut:
    """Public test examples: all of them, and the few that are looked at during the run."""

    full: Sequence[Encoded]
    quick: Sequence[Encoded]


def held_out(experiment: Experiment, task: Task, likelihood: Likelihood) -> HeldOut:
    test = task.test[: experiment.task.test_examples]
    full = [likelihood.encode(task.prompt(e), e.target) for e in test]
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


def shares_of(experiment: Experiment, task: Task) -> list[NDArray[np.int64]]:
    """Which of the training examples each device has."""
    learning, seed = experiment.learning, experiment.run.seed
    if experiment.task.partition == "iid":
        return partition.iid(len(task.train), learning.devices, seed)
    if not task.options:
        raise InputError(f"task.partition = 'dirichlet' skews labels, and {task.name} has none; use 'iid'")
    return partition.dirichlet([e.label for e in task.train], learning.devices, experiment.task.dirichlet_alpha, seed)


def pool_ledger(experiment: Experiment, task: Task, guarantee: Guarantee, ledgers: Path) -> PoolLedger:
    """The open ledger of private data.  Seeds, K and partitions deal the same examples out differently, so the budget is the
    data set's, not a share's.

    Where a whole device is protected, a device of one deal is scattered over several of another: what runs cost adds up only
    as long as the deal is the same, so the ledger names it."""
    unit = guarantee.unit
    if unit == DEVICE:
        dealt = " ".join(digest_examples(task.train[i] for i in share) for share in shares_of(experiment, task))
        unit = replace(unit, adjacency=f"{unit.adjacency}, as dealt in {keyed_digest(ledgers, dealt)[:16]}")
    name = keyed_digest(ledgers, task.pool)
    return PoolLedger(
        ledgers / f"{name[:32]}.jsonl",
        Owner(f"{task.name} (all devices)", name),
        Budget(experiment.privacy.epsilon, guarantee.delta),
        not experiment.privacy.reproducible,
        unit=unit,
        threat=str(guarantee.threat),
    )


def certify(guarantee: Guarantee | None, ledgers: Sequence[Ledger], first: int) -> bool:
    """Where the noise varies, let the ledgers allow all releases from `first` on at once. False where it does not vary, or
    does not fit."""
    if guarantee is None or not guarantee.schedule:
        return False
    return all([ledger.allows(guarantee.planned(first)) for ledger in ledgers])


def check_budgets(experiment: Experiment, guarantee: Guarantee | None, ledgers: Sequence[Ledger]) -> None:
    """Refuse at the start what a ledger would refuse in the middle.  Raises BudgetError."""
    if certify(guarantee, ledgers, 0):
        return
    releases, steps = experiment.releases, experiment.learning.local_steps
    for ledger in ledgers:
        if guarantee is None or not ledger.enforce:
            continue
        if (left := ledger.remaining(guarantee.charge, releases)) < releases:
            kind, each = ("rounds", "") if steps == 1 else ("releases", f" and {steps} local steps a round")
            raise BudgetError(
                f"the ledger {ledger.path} of {ledger.owner.name} holds {left} more {kind} of this run's kind, but "
                f"the run needs {releases} with its spares{each}: epsilon {ledger.epsilon():.3f} of "
                f"{experiment.privacy.epsilon:g} is spent already. Fewer rounds, other data, or a smaller "
                "privacy.epsilon for each of several runs"
            )


def build_devices(
    experiment: Experiment,
    task: Task,
    likelihood: Likelihood | None,
    guarantee: Guarantee | None,
    ledgers: Path | None,
    only: Collection[int] | None = None,
) -> list[Device]:
    """The K devices with their shares of the data, secrets, mechanism and open ledgers (the caller closes them).

    likelihood  tokenises the examples; None: their data are elsewhere, and they are here for their ledgers
    ledgers     folder; None: their ledgers are elsewhere
    only        those of the devices that are wanted
    """
    learning, privacy = experiment.learning, experiment.privacy
    enforce = not privacy.reproducible
    devices: list[Device] = []
    pool: Ledger | None = None
    try:
        kept = guarantee is not None and not is_throw_away(experiment, task)
        if guarantee is not None and ledgers is not None and (kept or learning.devices > OWN_LEDGERS):
            pool = pool_ledger(experiment, task, guarantee, ledgers)
        for k, share in enumerate(shares_of(experiment, task)):
            if only is not None and k not in only:
                continue
            own = [task.train[i] for i in share]
            name = f"device-{k}"
            ledger = pool
            if guarantee is not None and ledgers is not None and pool is None:
                data = digest_examples(own)
                ledger = Ledger(
                    ledgers / f"{data[:32]}.jsonl",
                    Owner(name, data),
                    Budget(privacy.epsilon, guarantee.delta),
                    enforce,
                    unit=guarantee.unit,
                    threat=str(guarantee.threat),
                )
            devices.append(
                Device(
                    name=name,
                    examples=[] if likelihood is None else [likelihood.encode(task.prompt(e), e.target) for e in own],
                    rate=experiment.sampling_rate,
                    grid=grid_of(experiment),
                    secret=_secret(experiment, k),
                    mechanism=None if guarantee is None else guarantee.mechanism,
                    ledger=ledger,
                    signs=learning.payload == "sign",
                    threat=OWN_NOISE if guarantee is None else guarantee.threat,
                    schedule=() if guarantee is None else guarantee.schedule,
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
