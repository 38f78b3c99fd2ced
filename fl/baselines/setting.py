"""The common ground of a comparison: one model, task, partition and held-out set, and public batches.

Methods without privacy draw their batches from public streams.  So the data must be public, and the same (device, round)
gives every method the same examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fl import session
from fl.config import Experiment
from fl.learning_rate import rate_at
from fl.likelihood import Encoded, Likelihood, Score
from fl.replica import Replica
from fl.rounds import round_seed
from fl.tasks.task import Task
from radio.errors import InputError
from radio.streams import stream, stream_seed

EVALUATION_ROWS = 16


@dataclass
class Setting:
    """Everything an algorithm is given.

    replica    the weights, all devices' and the server's
    shares     K lists of examples, one a device
    held_out   public test examples
    resources  closed with the setting
    """

    experiment: Experiment
    task: Task
    replica: Replica
    shares: Sequence[Sequence[Encoded]]
    held_out: session.HeldOut
    scorer: Likelihood
    resources: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def build(cls, experiment: Experiment) -> Setting:
        """Raises InputError where the data is not public, or the experiment cannot be set up."""
        task = session.experiment_task(experiment)
        if not session.is_public(experiment, task):
            raise InputError(
                f"the comparison trains on {task.name} without privacy, and this data may be private; "
                "declare it public with task.public = true"
            )
        replica = session.build_replica(experiment, task)
        # a method's own micro-batch may be as small as its batches; evaluation is the same for all
        scorer = session.likelihood_of(replica.model, task, EVALUATION_ROWS)
        devices = session.build_devices(experiment, task, replica.likelihood, None, Path())  # no charge, so no ledger
        shares = [device.examples for device in devices]
        return cls(experiment, task, replica, shares, session.held_out(experiment, task, scorer), scorer)

    def __enter__(self) -> Setting:
        return self

    def __exit__(self, *exc: object) -> None:
        self.resources.close()

    @property
    def devices(self) -> int:
        return len(self.shares)

    @property
    def batch(self) -> int:
        """B, examples a device takes at a time."""
        return max(1, round(self.experiment.learning.batch))

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of all examples each device holds, (K,): the weights of federated averaging."""
        sizes = np.array([len(share) for share in self.shares], np.float64)
        return sizes / sizes.sum()

    def rate(self, t: int) -> float:
        return rate_at(self.experiment.learning, t)

    @property
    def passes(self) -> float:
        """Forward passes over a batch that the experiment's estimator takes for its P directions."""
        return self.replica.passes(self.experiment.learning.perturbations)

    def seed(self, t: int) -> int:
        """Public 64-bit seed of round t's directions, the one our own rounds use."""
        learning = self.experiment.learning
        return round_seed(self.experiment.run.seed, t, learning.basis_slots, learning.seed_pool)

    def named_seed(self, *purpose: str | int) -> int:
        """A public 64-bit seed for directions of any other purpose."""
        return stream_seed(self.experiment.run.seed, "baselines", "direction", *purpose) & (2**64 - 1)

    def stream(self, *purpose: str | int) -> np.random.Generator:
        return stream(self.experiment.run.seed, "baselines", *purpose)

    def batches(self, t: int, device: int, steps: int = 1, size: int | None = None) -> list[list[Encoded]]:
        """`steps` batches of a device's round: consecutive pieces of its reshuffled share, none over B examples long."""
        share, size = self.shares[device], min(size or self.batch, len(self.shares[device]))
        pieces: list[list[Encoded]] = []
        epoch = 0
        while len(pieces) < steps:
            order = self.stream("batches", t, device, epoch).permutation(len(share))
            pieces += [[share[i] for i in order[at : at + size]] for at in range(0, len(share), size)]
            epoch += 1
        return pieces[:steps]

    # zeroth-order steps

    def projections(self, examples: Sequence[Encoded], seed: int, first: int = 0) -> NDArray[np.float64]:
        """The batch's mean directional derivatives along z(seed, first + j), j < P.  Shape (P,); those not finite count as 0."""
        learning = self.experiment.learning
        each = self.replica.projections(examples, seed, learning.perturbations, learning.mu, first)
        return np.where(np.isfinite(each), each, 0.0).mean(axis=0)

    def descend(self, t: int, seed: int, mean: NDArray[np.float64], first: int = 0) -> None:
        """w <- w - rate/P sum_j mean_j z(seed, first + j), at round t's rate."""
        share = self.rate(t) / self.experiment.learning.perturbations
        for j, value in enumerate(mean):
            self.replica.move(seed, first + j, -share * float(value))

    # weights

    def flat(self) -> NDArray[np.float32]:
        """A copy of all trained weights in a row, (d,)."""
        return np.concatenate([array.reshape(-1) for array in self.replica.snapshot().values()])

    def put(self, vector: NDArray[np.floating]) -> None:
        """w <- vector (d,), rounded to fp32."""
        pieces: dict[str, NDArray[np.float32]] = {}
        at = 0
        for name, array in self.replica.snapshot().items():
            pieces[name] = vector[at : at + array.size].astype(np.float32)
            at += array.size
        self.replica.restore(pieces)

    @contextmanager
    def excursion(self) -> Iterator[None]:
        """A device's own steps from the common weights; they end where they began, bit for bit."""
        start = self.replica.snapshot()
        try:
            yield
        finally:
            self.replica.restore(start)

    def evaluate(self, full: bool = False) -> Score:
        """Loss and accuracy on held-out examples: `run.evaluate_examples` of them, or all."""
        _ = self.replica.likelihood  # carries out queued moves
        return self.scorer.evaluate(self.held_out.full if full else self.held_out.quick)

    def training_loss(self) -> float:
        """Mean loss of all devices' examples at the present weights."""
        _ = self.replica.likelihood
        return float(self.scorer.losses([example for share in self.shares for example in share]).mean())
