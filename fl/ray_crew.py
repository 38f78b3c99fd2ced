"""A simulation's devices spread over Ray actors, on this machine or on a cluster: one replica an actor, whatever K is.

Orders and entries of the log go out, payloads come back; both are a few numbers a device.  The weights never move, and are
the same, bit for bit, as those of a run in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment
from fl.crew import CrewLost, Measured
from fl.hosted_crew import HostedCrew
from fl.journal import History
from fl.lab.log import Log
from fl.lab.messages import CHUNK
from fl.order import RoundOrder
from fl.ray_session import RaySession
from fl.replica import Replica
from fl.update import RoundUpdate
from radio.errors import InputError


class RayCrew:
    """`fl.crew.Crew` of actors.

    Args:
        experiment: of the run; each actor takes `run.threads` processors, one where it does not say.
        replica: the caller's own; it follows, and its digest is what the actors' are compared with.
        history: of the run's journal, which has every update before it is taken.
        log: of the journal so far; the actors begin with it.
        actors: number of them; each has, as near as can be, the same number of devices.
        address: see `fl.ray_session.RaySession`.

    Raises InputError where there are too many actors, one cannot start, or one has another model than this process.
    """

    def __init__(
        self,
        experiment: Experiment,
        replica: Replica,
        history: History,
        log: Log,
        actors: int,
        address: str | None = None,
    ) -> None:
        devices, threads = experiment.learning.devices, experiment.run.threads or 1
        if not 1 <= actors <= devices:
            raise InputError(f"--ray {actors}; allowed: 1 to {devices}, the number of devices")
        self.probe = replica.probe
        self._replica, self._history, self._log = replica, history, log
        self._session = RaySession(address)
        self._ray = self._session.ray
        self._actors: list[Any] = []
        try:
            processors = self._session.processors
            if processors < actors * threads:
                each = f" of {threads} threads each (run.threads)" if threads > 1 else ""
                raise InputError(
                    f"--ray {actors}: so many actors{each} need {actors * threads} processors, this Ray has {processors}; "
                    + (f"take --ray {processors // threads}" if processors >= threads else "lower run.threads")
                )
            shares = np.array_split(np.arange(devices), actors)
            self._ends = np.cumsum([share.size for share in shares])[:-1]
            hosted = self._ray.remote(num_cpus=threads)(HostedCrew)
            text = _located(experiment).model_dump_json()
            self._actors = [hosted.remote(text, share.tolist(), threads) for share in shares]
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """The actors are built, and have the log so far."""
        try:
            self._ray.get([actor.__ray_ready__.remote() for actor in self._actors])
        except self._ray.exceptions.RayActorError as failed:
            told = str(failed).strip().splitlines()
            raise InputError(f"a Ray actor could not start: {told[-1] if told else 'nobody knows why'}") from None
        for first in range(0, len(self._log), CHUNK):
            entries = self._log.rounds(first, min(first + CHUNK, len(self._log)))
            self._get([actor.follow.remote(entries) for actor in self._actors])
        self.check()

    def measure(self, order: RoundOrder) -> None:
        self._get([actor.measure.remote(order) for actor in self._actors])

    def release(self, order: RoundOrder, active: NDArray[np.bool_], together: int, noise_std: float = 0.0) -> Measured:
        parts = zip(self._actors, np.split(active, self._ends), strict=True)
        return self._joined([actor.release.remote(order, part, together, noise_std) for actor, part in parts])

    def walk(self, order: RoundOrder, willing: NDArray[np.bool_]) -> Measured:
        parts = zip(self._actors, np.split(willing, self._ends), strict=True)
        return self._joined([actor.walk.remote(order, part) for actor, part in parts])

    def take(self, update: RoundUpdate) -> None:
        entry = self._history.updates[-1]  # equal to `update`, and the one that later entries carry on
        told = [self._log.add(self._history.slots.last, entry, committed=entry is self._history.last)]
        pending = [actor.follow.remote(told) for actor in self._actors]
        self._replica.replay([entry])
        self._get(pending)

    def check(self) -> None:
        ours = self._replica.digest()
        for index, theirs in enumerate(self._get([actor.digest.remote() for actor in self._actors])):
            if theirs != ours:
                raise InputError(
                    f"Ray actor {index} has other weights than this process after {len(self._log)} slots ({theirs[:16]}, not "
                    f"{ours[:16]}). The journal is right: compare the model and the versions on its node, and resume the run"
                )

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._session.close()

    def _joined(self, pending: Sequence[Any]) -> Measured:
        return Measured(*(np.concatenate(parts) for parts in zip(*self._get(pending), strict=True)))

    def _get(self, pending: Sequence[Any]) -> list[Any]:
        """Raises CrewLost where an actor is lost, and what an actor raises."""
        try:
            return list(self._ray.get(list(pending)))
        except self._ray.exceptions.RayActorError as lost:
            raise CrewLost(
                f"a Ray actor is lost ({str(lost).splitlines()[0]}). Nothing committed is lost: resume the run, with or "
                "without --ray"
            ) from None
        except self._ray.exceptions.RayTaskError as failed:
            raise failed.cause from None


def _located(experiment: Experiment) -> Experiment:
    """With absolute folders: the working directory is this process's."""
    model, task = experiment.model, experiment.task
    if Path(model.source).is_dir():
        model = model.model_copy(update={"source": str(Path(model.source).resolve())})
    if task.root is not None:
        task = task.model_copy(update={"root": str(Path(task.root).resolve())})
    return experiment.model_copy(update={"model": model, "task": task})
