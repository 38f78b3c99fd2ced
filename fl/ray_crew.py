"""A simulation's devices spread over Ray actors, on this machine or on a cluster: one replica an actor, whatever K is.

Orders and entries of the log go out, payloads come back; both are a few numbers a device.  The weights never move, and are
the same, bit for bit, as those of a run in one process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment
from fl.crew import Measured
from fl.hosted_crew import HostedCrew
from fl.journal import History
from fl.lab.log import Log
from fl.lab.messages import CHUNK
from fl.order import RoundOrder
from fl.replica import Replica
from fl.update import RoundUpdate
from radio.errors import InputError, StoppedEarly

STORE_BYTES = 128 << 20  # of a local Ray's object store: what moves is small


def connect(address: str | None) -> Any:
    """Ray, started on this machine or joined at `address` ("auto", HOST:PORT, ray://HOST:PORT).  Nothing is reported to anyone.

    Raises InputError where it is not installed or does not answer."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns that this will be the default
    try:
        import ray
    except ImportError:
        raise InputError("Ray is not installed; pip install 'pairzero[ray]', or leave --ray out") from None
    settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address is None:
        settings |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(address=address, ignore_reinit_error=True, **settings)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        where = "on this machine" if address is None else f"at {address}"
        raise InputError(
            f"no Ray {where}: {problem}; start one (ray start --head), or leave --ray-address out"
        ) from None
    return ray


class RayCrew:
    """`fl.crew.Crew` of actors.

    Args:
        experiment: of the run.
        replica: the caller's own; it follows, and its digest is what the actors' are compared with.
        history: of the run's journal, which has every update before it is taken.
        log: of the journal so far; the actors begin with it.
        actors: number of them; each takes one processor, and as near as can be the same number of devices.
        address: see `connect`.
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
        devices = experiment.learning.devices
        if not 1 <= actors <= devices:
            raise InputError(f"--ray {actors}; allowed: 1 to {devices}, the number of devices")
        self.probe = replica.probe
        self._replica, self._history, self._log = replica, history, log
        self._ray = connect(address)
        processors = int(self._ray.cluster_resources().get("CPU", 0))
        if processors < actors:
            self._ray.shutdown()
            raise InputError(
                f"--ray {actors}, but this Ray has {processors} processors; take --ray {max(1, processors)}"
            )
        shares = np.array_split(np.arange(devices), actors)
        self._ends = np.cumsum([share.size for share in shares])[:-1]
        hosted = self._ray.remote(num_cpus=1)(HostedCrew)
        text = experiment.model_dump_json()
        try:
            self._actors = [hosted.remote(text, share.tolist()) for share in shares]
            for first in range(0, len(log), CHUNK):
                entries = [log.round(p) for p in range(first, min(first + CHUNK, len(log)))]
                self._get([actor.follow.remote(entries) for actor in self._actors])
        except BaseException:
            self._ray.shutdown()
            raise

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
        self._log.add(max(self._history.slots), entry, committed=entry is self._history.last)
        told = [self._log.round(len(self._log) - 1)]
        pending = [actor.follow.remote(told) for actor in self._actors]
        self._replica.replay([entry])
        self._get(pending)

    def check(self) -> None:
        ours = self._replica.digest()
        for index, theirs in enumerate(self._get([actor.digest.remote() for actor in self._actors])):
            if theirs != ours:
                raise InputError(
                    f"Ray actor {index} has other weights than this process after {len(self._log)} slots ({theirs[:16]}, not "
                    f"{ours[:16]}). The journal is right: compare the versions installed on its node, and resume the run"
                )

    def close(self) -> None:
        self._ray.shutdown()

    def _joined(self, pending: Sequence[Any]) -> Measured:
        return Measured(*(np.concatenate(parts) for parts in zip(*self._get(pending), strict=True)))

    def _get(self, pending: Sequence[Any]) -> list[Any]:
        """Raises StoppedEarly where an actor is lost, and what an actor raises."""
        try:
            return list(self._ray.get(list(pending)))
        except self._ray.exceptions.RayActorError as lost:
            raise StoppedEarly(f"a Ray actor is lost ({str(lost).splitlines()[0]}); resume the run") from None
        except self._ray.exceptions.RayTaskError as failed:
            raise failed.cause from None
