"""A data owner's side of a lab: the terms nobody can talk it out of, and the device built under them.

What the server says is a proposal.  Whether data is public, which noise is the least and how much may be spent is decided
here, from the owner's own command line and ledger.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fl import session
from fl.config import Experiment
from fl.device import Device
from fl.guarantee import Guarantee, grid_of
from fl.likelihood import Likelihood
from fl.tasks.registry import TASKS, load_own
from fl.tasks.task import Example, Task, digest_examples
from privacy.identity import keyed_digest
from privacy.ledger import Budget, Ledger, Owner
from privacy.noise import ReproducibleSecret, SystemSecret
from privacy.threats import OWN_NOISE
from radio.errors import BudgetError, InputError

EPSILON = 8.0  # what private data is worth at most to a server, where its owner has not said


@dataclass(frozen=True)
class Terms:
    """What a data owner allows.

    data     own examples, in the format of the task's files (of `reviews`: SST-2's); None: the share of a public data set
    public   the owner says that these examples are nobody's secret
    ledger   folder of the owner's ledgers; default: see `ledger_folder`
    epsilon  largest budget for these examples, all runs together; for private ones `EPSILON` where none is given
    delta    largest delta; whatever is given, a private data set of n examples takes part at less than 1/n only
    noise    least noise multiplier
    clip     largest bound of one example's projected gradient
    threat   whose noise may be counted
    model    where this host keeps the model, if elsewhere; root: likewise, of the task's files
    """

    data: Path | None = None
    public: bool = False
    ledger: Path | None = None
    epsilon: float | None = None
    delta: float | None = None
    noise: float = 0.0
    clip: float | None = None
    threat: str = "own-noise"
    model: str | None = None
    root: str | None = None


def on_this_host(experiment: Experiment, terms: Terms) -> Experiment:
    """The experiment with the places of files on this host.  A folder that only the server named is not looked into."""
    task = experiment.task.model_copy(update={"root": terms.root})
    model = experiment.model if terms.model is None else experiment.model.model_copy(update={"source": terms.model})
    return experiment.model_copy(update={"task": task, "model": model})


def own_task(experiment: Experiment, terms: Terms) -> tuple[Task, bool]:
    """The task with the examples to choose from, and whether they are public.  Raises InputError for a task file, which only
    the server named and which might be any file of this host."""
    if experiment.task.name not in TASKS:
        raise InputError(
            f"the experiment's task is the file {experiment.task.name!r}; lab mode takes built-in tasks: {', '.join(TASKS)}"
        )
    if terms.data is None:
        task = session.experiment_task(experiment)
        return task, task.public or terms.public
    return load_own(experiment.task.name, terms.data, terms.public), terms.public


def check(
    experiment: Experiment,
    guarantee: Guarantee | None,
    terms: Terms,
    public: bool,
    examples: int | None = None,
    *,
    simulated: bool = True,
) -> None:
    """Raises InputError, naming both sides, where the experiment asks for more than the owner allows.

    examples   how many the owner has, once that is known
    simulated  the air is a process of somebody's, which is handed every number by itself; else a radio of the owner's own
    """
    privacy = experiment.privacy
    if not public:
        if terms.data is None:
            raise InputError(
                f"the task {experiment.task.name!r} of this experiment is not public, and shares of private data are for one "
                "process with one ledger (pairzero run); name this device's own examples with --data, or say --public"
            )
        if guarantee is None or privacy.reproducible:
            what = "privacy.enabled = false" if guarantee is None else "privacy.reproducible = true"
            raise InputError(
                f"the experiment has {what}, which protects nothing; this device's data is private (--public says otherwise)"
            )
    if experiment.learning.local_steps > 1:
        raise InputError("learning.local_steps above 1 is for runs in one process; lab mode measures once a slot")
    if guarantee is None:
        return
    if guarantee.schedule:
        raise InputError(
            f"privacy.schedule = {privacy.schedule!r} is for runs in one process (pairzero run): it is certified for each slot "
            "in its turn, and a device may miss some; lab mode takes 'constant'"
        )
    epsilon = EPSILON if terms.epsilon is None and not public else terms.epsilon
    asked = (
        ("privacy.epsilon", privacy.epsilon, epsilon, "--epsilon"),
        ("privacy.delta", privacy.delta, terms.delta, "--delta"),
        ("privacy.clip", privacy.clip, terms.clip, "--clip"),
    )
    for key, value, limit, option in asked:
        if limit is not None and value > limit:
            raise InputError(
                f"the experiment has {key} = {value:g}, but {option} {limit:g} is the most this owner allows"
            )
    if not public and examples is not None and privacy.delta >= 1.0 / examples:
        raise InputError(
            f"the experiment has privacy.delta = {privacy.delta:g}, but this owner's {examples} examples need one below "
            f"{1.0 / examples:g}: publishing one of them outright could satisfy it"
        )
    if simulated and not public and privacy.threat != "own-noise":
        raise InputError(
            f"privacy.threat = {privacy.threat!r} with private data on a simulated air: its host is handed every "
            "device's number by itself, so nobody else's noise protects it; take part under own-noise"
        )
    if guarantee.charge.noise_multiplier < terms.noise:
        raise InputError(
            f"the experiment's noise multiplier is {guarantee.charge.noise_multiplier:.6g}, but --noise {terms.noise:g} is "
            "the least this owner adds; it takes fewer rounds or a smaller privacy.epsilon"
        )
    if privacy.threat not in ("own-noise", terms.threat):
        raise InputError(
            f"the experiment counts noise that this device does not add (privacy.threat = {privacy.threat!r}); this owner "
            f"allows {terms.threat!r}, and would allow it with --threat {privacy.threat}"
        )


def ledger_folder(terms: Terms, public: bool, name: str, run_id: str) -> Path:
    """The owner's own folder, shared by all runs; for public data one for each run, because a restart needs it."""
    if terms.ledger is not None:
        return terms.ledger.expanduser()
    home = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "pairzero"
    return home / "public" / run_id / name if public else home / "ledgers"


def own_examples(index: int, experiment: Experiment, task: Task, terms: Terms) -> list[Example]:
    """The owner's own, or the device's share of a public data set."""
    if terms.data is not None:
        return list(task.train)
    return [task.train[i] for i in session.shares_of(experiment, task)[index]]


def open_ledger(
    name: str,
    index: int,
    run_id: str,
    experiment: Experiment,
    task: Task,
    guarantee: Guarantee,
    terms: Terms,
    public: bool,
) -> Ledger:
    """The ledger of the device's examples, open (the caller closes it).  Raises InputError where it refuses."""
    folder = ledger_folder(terms, public, name, run_id)
    data = digest_examples(own_examples(index, experiment, task, terms))
    data = data if public else keyed_digest(folder, data)
    return Ledger(
        folder / f"{data[:32]}.jsonl",
        Owner(name, data),
        Budget(experiment.privacy.epsilon, guarantee.delta),
        not experiment.privacy.reproducible,
        unit=guarantee.unit,
        threat=str(guarantee.threat),
        floor=terms.noise,
    )


def build_device(
    name: str,
    index: int,
    run_id: str,
    experiment: Experiment,
    task: Task,
    likelihood: Likelihood,
    guarantee: Guarantee | None,
    terms: Terms,
    public: bool,
    charging: bool = True,
) -> Device:
    """The device with its examples, secret and open ledger (the caller closes it); without the ledger unless `charging`.

    Raises InputError where the ledger refuses, BudgetError where it holds no further round.
    """
    learning, privacy = experiment.learning, experiment.privacy
    own = own_examples(index, experiment, task, terms)
    ledger = None
    if guarantee is not None and charging:
        ledger = open_ledger(name, index, run_id, experiment, task, guarantee, terms, public)
    private = privacy.enabled and not privacy.reproducible
    device = Device(
        name=name,
        examples=[likelihood.encode(task.prompt(e), e.target) for e in own],
        rate=experiment.sampling_rate,
        grid=grid_of(experiment),
        secret=SystemSecret() if private else ReproducibleSecret(experiment.run.seed, "device", index),
        mechanism=None if guarantee is None else guarantee.mechanism,
        ledger=ledger,
        signs=learning.payload == "sign",
        threat=OWN_NOISE if guarantee is None else guarantee.threat,
    )
    if not device.can_charge():
        assert ledger is not None
        ledger.close()
        raise BudgetError(
            f"the ledger {ledger.path} of {name} holds no further round of this run: epsilon {ledger.epsilon():.3f} of "
            f"{privacy.epsilon:g} is spent. Nothing was transmitted; take part with other data"
        )
    return device
