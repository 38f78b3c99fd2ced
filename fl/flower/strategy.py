"""Flower's `Strategy`, carrying a pAirZero run: round loop, journal, power control and air are those of `pairzero run`.

Flower's own loop begins at round 1 whenever it starts, averages arrays, and speaks to a node once a round.  Here nodes hold
equal weights that nobody sends, a round is three exchanges, erased slots are rounds too, and a run goes on where its journal
stands.  So `start` runs our loop, and the hooks of Flower's (`configure_train` and the like) say that they are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fl.device import Device
from fl.flower.fleet import Fleet
from fl.flower.transport import FlowerTransport
from fl.journal import NAME as JOURNAL
from fl.journal import Journal
from fl.lab.facts import facts_of
from fl.lab.log import Log
from fl.lab.remote_ledgers import RemoteLedgers
from fl.run import Execution, finished_summary
from fl.run_folder import RunFolder
from fl.stop import Stop
from fl.transport import Transport
from privacy.record_log import read_records
from privacy.slots import Slots
from radio.air import Air
from radio.errors import InputError

Say = Callable[[str], None]
SEEN = (
    "over Flower, the simulated air is in the server's process, which is handed every device's number by itself, noise included: "
    "own noise protects against it, nobody else's does"
)


class _FlowerRun(Execution):
    """Nodes are partitions of this process's data, which also keeps their ledgers, as in a simulation."""

    at_nodes = False

    def __init__(
        self, folder: RunFolder, journal: Journal, stop: Stop, quiet: bool, grid: Grid, timeout_s: float, wait_s: float, say: Say
    ) -> None:  # fmt: skip
        _refuse(folder, self.at_nodes)
        super().__init__(folder, journal, stop, quiet)
        self.grid, self.timeout_s, self.wait_s, self.say = grid, timeout_s, wait_s, say
        self.truths = False
        self.facts = facts_of(self.experiment, self.replica)

    def _build_devices(self, ledgers: Path) -> list[Device]:
        from fl import session

        return session.build_devices(self.experiment, self.task, None, self.guarantee, ledgers)

    def _names_before(self) -> tuple[str, ...]:
        return ("",) * self.experiment.learning.devices

    def _charges_said(self) -> dict[str, Slots]:
        return {}

    def _transport(self, air: Air, leaving: ExitStack) -> Transport:
        history, experiment = self.journal.history, self.experiment
        log = Log.of(history, read_records(self.folder.path / JOURNAL))
        self.fleet = Fleet(
            self.grid,
            self.run_id,
            experiment,
            self.at_nodes,
            self.facts,
            log,
            self._names_before(),
            self.timeout_s,
            self.say,
        )
        self.fleet.gather(self.wait_s)
        joined, wanted = int(self.fleet.present.sum()), experiment.learning.devices
        if joined < (1 if self.at_nodes else wanted):
            raise InputError(
                f"{joined} of {wanted} nodes have joined within {self.wait_s:g} s; start more SuperNodes "
                f"(flower-supernode), or a simulation with {wanted} of them (learning.devices)"
            )
        privacy, here = experiment.privacy, experiment.learning.devices
        may_miss = here if privacy.threat == "own-noise" else privacy.dropouts
        return FlowerTransport(
            self.run_id, self.fleet, log, history, self.replica, self.devices, air, may_miss, self._charges_said()
        )


class _FlowerNodesRun(RemoteLedgers, _FlowerRun):
    """Nodes have data and ledgers of their own."""

    at_nodes = True

    def _names_before(self) -> tuple[str, ...]:
        return self._names()

    def _charges_said(self) -> dict[str, Slots]:
        return self.charged

    def _transport(self, air: Air, leaving: ExitStack) -> Transport:
        transport = super()._transport(air, leaving)
        leaving.callback(lambda: self._named(tuple(self.fleet.names)))
        self._named(tuple(self.fleet.names))
        history = self.journal.history
        # What was charged and never closed is burned.  Nodes that are not here yet see to it themselves.
        for slot in range(history.slots.last + 1, self.fleet.charged + 1):
            self.journal.burn(slot)
        return transport


def _refuse(folder: RunFolder, at_nodes: bool) -> None:
    learning, experiment = folder.experiment.learning, folder.experiment
    settings: list[tuple[str, object, object]] = [("learning.local_steps", learning.local_steps, 1)]
    if at_nodes:
        settings.append(("privacy.schedule", experiment.privacy.schedule, "constant"))
    for key, value, allowed in settings:
        if value != allowed:
            raise InputError(
                f"{key} = {value!r} is for runs in one process and over Ray (pairzero run); over Flower it is {allowed!r}"
            )


class Strategy(FlowerStrategy):
    """A run in its folder, begun or continued by `start`.

    Args:
        folder: of the run (`fl.run_folder.create` or `open_run`).
        at_nodes: every node has its own data and ledger; else nodes are partitions of the server's data, by partition-id.
        wait_s: how long the first round waits for nodes that are missing.
        quiet: print nothing but what goes wrong.
        say: gets lines for a person.
    """

    def __init__(
        self, folder: RunFolder, at_nodes: bool = False, wait_s: float = 120.0, quiet: bool = False, say: Say = print
    ) -> None:
        self.folder, self.at_nodes, self.wait_s, self.quiet, self.say = folder, at_nodes, wait_s, quiet, say

    def summary(self) -> None:
        learning = self.folder.experiment.learning
        self.say(f"pAirZero: {learning.devices} devices, {learning.rounds} rounds, run folder {self.folder.path}")
        self.say(SEEN)

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord | None = None,
        num_rounds: int | None = None,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Any = None,
    ) -> Result:
        """Carry the run to its end, from wherever its journal stands; of Flower's settings only `timeout` is used, seconds for
        an answer.

        The result has the server's evaluations by round, and no arrays: the weights are the journal's replay (`pairzero
        export`).  Raises what `fl.run.execute` raises.
        """
        if initial_arrays or num_rounds is not None or evaluate_fn is not None:
            raise InputError("the model and the number of rounds are the experiment's; start the strategy without them")
        if not self.quiet:
            self.summary()
        journal = Journal(self.folder.path)
        try:
            if finished_summary(self.folder) is None:
                kind = _FlowerNodesRun if self.at_nodes else _FlowerRun
                kind(self.folder, journal, Stop(), self.quiet, grid, timeout, self.wait_s, self.say).run()
            done = journal.history.evaluations
        finally:
            journal.close()
        figures = {e["round"]: MetricRecord({"loss": e["loss"], "accuracy": e["accuracy"]}) for e in done}
        return Result(evaluate_metrics_serverapp=figures)

    # Flower's own loop, which does not run

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        _unused()

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        _unused()

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        _unused()

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        _unused()


def _unused() -> NoReturn:
    raise NotImplementedError("a pAirZero round is not one of Flower's: call Strategy.start")
