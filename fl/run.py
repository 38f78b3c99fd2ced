"""One run from its folder to its report: set up, replay what is already committed, train, evaluate, write it all down."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.watch import LeftBox, WatchedAir
from fl.calibrated import expected_nmse_db, profile_for, watched
from fl.config import Experiment
from fl.diagnostics import Diagnostics, full_scale_snr_db, nmse_db, read_diagnostics, run_snr_db
from fl.guarantee import guarantee_of
from fl.journal import NAME as JOURNAL
from fl.journal import Journal, read_history
from fl.placement import placed
from fl.privacy_facts import CHARGES, facts_of
from fl.progress import RunProgress
from fl.proposal import limits_of
from fl.recordings import Recordings
from fl.run_folder import DEVICES, RunFolder, version, write_atomic, write_json
from fl.station import SIMULATED, Bench, bench_for, device_names, not_used
from fl.station import open_air as open_station_air
from fl.station_air import RadioStop
from fl.station_log import StationLog
from fl.stop import Stop, Terminated
from fl.summary import accuracy_facts, peak_rss_mib, privacy_facts, uplink
from fl.tensorboard import Board
from fl.terminal import say
from privacy.record_log import read_records
from radio.errors import BudgetError, InputError, StoppedEarly
from radio.station import load_station

if TYPE_CHECKING:
    from fl.crew import Crew
    from fl.device import Device
    from fl.transport import Transport
    from privacy.facts import PrivacyFacts
    from privacy.ledger import Ledger
    from radio.air import Mode, Sounder
    from radio.radio import Radio


@dataclass(frozen=True)
class Actors:
    """Ray actors that the devices are spread over: how many, and the address of their Ray (None: one on this machine)."""

    number: int
    address: str | None = None


def execute(
    folder: RunFolder,
    quiet: bool = False,
    *,
    allow_tx: bool = False,
    actors: Actors | None = None,
    offload: Path | None = None,
    device_map: str | None = None,
    stop: Stop | None = None,
) -> dict[str, Any]:
    """Carry a run to its end, from wherever its journal stands, and return its summary.

    allow_tx  the operator vouches for what the run's station transmits, see `fl.station.bench_for`
    actors    None: the devices are in this process
    offload   folder for a mapped file with the weights (`fl.mapped`); None: they are in memory
    device_map  on which devices (`fl.placement`); None: main memory
    stop      the caller's, who has more to do: what it is asked in the last round ends nothing here

    Raises KeyboardInterrupt after an orderly stop by Ctrl-C, StoppedEarly after one by SIGTERM or by the air, BudgetError when
    a budget ended it early (results are written in all cases), InputError when it cannot start.
    """
    if (folder.path / DEVICES).is_file():
        raise InputError(
            f"the devices of {folder.path} are processes of their own, with ledgers of their own; carry it on with them, "
            f"as it was begun; a lab's: pairzero server --resume {folder.path}"
        )
    stop = Stop() if stop is None else stop
    with stop.listening():
        journal = Journal(folder.path)
        try:
            return Execution(folder, journal, stop, quiet, allow_tx, actors, offload, device_map).run()
        finally:
            journal.close()


def _bench(folder: RunFolder, allow_tx: bool) -> Bench | None:
    """What the run takes of its station; None on the loopback."""
    if folder.station is None:
        return None
    return bench_for(folder.experiment, load_station(folder.station), allow_tx=allow_tx, profile=folder.profile)


class Execution:
    """One process's part of a run.  `fl.lab.server` overrides what differs where devices are processes of their own."""

    def __init__(
        self,
        folder: RunFolder,
        journal: Journal,
        stop: Stop,
        quiet: bool,
        allow_tx: bool = False,
        actors: Actors | None = None,
        offload: Path | None = None,
        device_map: str | None = None,
    ) -> None:
        # heavy imports (torch, transformers) start here: the run folder is there already
        from fl import session

        self._began = time.monotonic()
        self.folder, self.journal, self.stop, self.quiet = folder, journal, stop, quiet
        self.experiment: Experiment = folder.experiment
        self.bench = _bench(folder, allow_tx)
        self.actors = actors
        self.profile = None if self.bench is None else self.bench.profile
        if self.bench is None and folder.profile is not None:
            self.profile = profile_for(self.experiment, folder.profile, None)
        self.run_id: str = journal.history.header["run_id"]
        self.task = session.experiment_task(self.experiment)
        self.replica = session.build_replica(self.experiment, self.task, offload, device_map)
        if device_map is not None and not quiet:
            say("weights: " + ", ".join(f"{n:,} on {where}" for where, n in placed(self.replica.model.network).items()))
        self.held_out = session.held_out(self.experiment, self.task, self.replica.likelihood)
        self.guarantee = guarantee_of(self.experiment)
        ledgers = session.ledger_folder(self.experiment, self.task, folder.path)
        self.devices = self._build_devices(ledgers)
        self.public = session.is_public(self.experiment, self.task)
        self.throw_away = session.is_throw_away(self.experiment, self.task)
        self.task_identity = session.task_identity(self.experiment, self.task, ledgers)
        self.ledgers = session.ledgers_of(self.devices)
        self.limits = limits_of(self.experiment, self.guarantee)
        self.partial: dict[str, Any] = folder.summary or {}
        self.board: Board | None = None
        self.truths = self.public  # whether diagnostics may hold sums before noise; nobody keeps those of private data
        # what earlier processes spent on this run's rounds; a killed one has left no summary, but its slots' times
        self.previous_train_s = sum(line["seconds"] for line in read_diagnostics(folder.path))

    def _build_devices(self, ledgers: Path) -> list[Device]:
        """The devices of this process, with open ledgers."""
        from fl import session

        tokenise = self.replica.likelihood if self.actors is None else None
        return session.build_devices(self.experiment, self.task, tokenise, self.guarantee, ledgers)

    def _device_names(self) -> list[str]:
        """For messages."""
        return device_names(self.experiment, self.bench)

    def _transport(self, air: Any, leaving: ExitStack) -> Transport:
        from fl.transport import InProcess

        crew = self._crew()
        leaving.callback(crew.close)
        return InProcess(self.run_id, crew, self.devices, air)

    def _crew(self) -> Crew:
        from fl.crew import LocalCrew
        from fl.lab.log import Log
        from fl.ray_crew import RayCrew

        if self.actors is None:
            return LocalCrew(self.replica, self.devices)
        history = self.journal.history
        log = Log.of(history, read_records(self.folder.path / JOURNAL))
        return RayCrew(self.experiment, self.replica, history, log, self.actors.number, self.actors.address)

    def _temperatures(self) -> list[float | None]:
        """Of the devices' radios, degrees Celsius, as far as they are known; for none, nothing."""
        return []

    def _stopping(self) -> bool:
        """Asked before every round."""
        return bool(self.stop)

    def run(self) -> dict[str, Any]:
        from fl import session
        from fl.crew import CrewLost
        from fl.rounds import Slot, train

        learning = self.experiment.learning
        try:
            every = self.experiment.run.record_every
            recordings = Recordings(self.folder.path, every, self._radio_settings()) if every else None
            if self.experiment.run.tensorboard:
                self.board = Board(self.folder.path, self.journal.history.rounds)
            over: BudgetError | StoppedEarly | None = None
            with ExitStack() as leaving:
                # Radios first: a new run whose radios are missing has not begun, and leaves no folder.
                air = self._open_air(recordings.listen if recordings else None, leaving)
                self._catch_up()
                diagnostics = Diagnostics(self.folder.path)
                leaving.callback(diagnostics.close)
                history = self.journal.history
                self.train_began = time.monotonic()
                transport = self._transport(air, leaving)
                with RunProgress(learning.rounds, history.rounds, self.quiet, self._device_names()) as self.progress:
                    if self.stop:
                        self._interrupt()
                    if not history.evaluations:
                        self._evaluate(final=False, full=True)
                    last = time.monotonic()

                    def after(slot: Slot) -> None:
                        nonlocal last
                        history.forget()
                        now = time.monotonic()
                        check = air.take() if isinstance(air, WatchedAir) else None
                        told = slot if self.truths else replace(slot, truth=None)
                        diagnostics.write(
                            told, now - last, None if check is None else check.record(), self._temperatures()
                        )
                        if recordings is not None:
                            recordings.after(slot)
                        if self.board is not None:
                            self.board.slot(told)
                        self.progress.slot(slot, air)
                        due = slot.rounds % self.experiment.run.evaluate_every == 0 and slot.rounds < learning.rounds
                        if due and not slot.received.erased:
                            self._evaluate(final=False)
                        last = time.monotonic()

                    try:
                        train(
                            self.experiment.run.seed,
                            learning,
                            self.limits,
                            transport,
                            air,
                            self.journal,
                            after,
                            self._stopping,
                        )
                    except (BudgetError, StoppedEarly) as error:
                        over = error
                    if not isinstance(over, CrewLost):
                        transport.check()
            self.train_s = self.previous_train_s + time.monotonic() - self.train_began
            return self._conclude(over, air.mode)
        finally:
            session.close_ledgers(self.devices)
            if self.board is not None:
                self.board.close()

    def _open_air(self, listen: Callable[[Radio], Radio] | None, leaving: ExitStack) -> Sounder:
        """The simulated air or the station's, closed when the stack is left; a station's radios are put on record."""
        from fl import session

        again = f". Calibrate again, then continue with: pairzero run --resume {self.folder.path} --profile PROFILE"
        if self.bench is None:
            air = session.build_air(self.experiment, listen)
            leaving.callback(air.close)
            return watched(self.experiment, air, self.profile, again)
        remedy = f". Mend that, then continue with: pairzero run --resume {self.folder.path}"
        over_radios = open_station_air(self.experiment, self.bench, listen, remedy)
        leaving.callback(over_radios.close)
        air_in_words, note = self.bench.described(self.experiment), not_used(self.experiment)
        log = StationLog(self.folder.path, air_in_words, note, over_radios.metadata())
        leaving.callback(lambda: log.end(over_radios.metadata()))
        return watched(self.experiment, over_radios, self.profile, again)

    def _radio_settings(self) -> dict[str, Any]:
        """What recordings say about the air."""
        settings = self.experiment.radio.model_dump()
        if self.bench is None:
            return settings
        kept = {key: value for key, value in settings.items() if key not in SIMULATED}
        return kept | {"station": self.bench.file.station.model_dump()}

    def _catch_up(self) -> None:
        """Replay the journal; burn the slots that were charged but never closed."""
        from fl import session

        history = self.journal.history
        start = self.replica.digest()
        if history.model is None:
            session.check_budgets(self.experiment, self.guarantee, self.ledgers)
            self.journal.model(
                digest=start,
                parameters=self.replica.parameters,
                trainable=self.replica.trainable,
                task=self.task_identity,
                source=self.experiment.model.source,
            )
            return
        for what, key, now in (("model", "digest", start), ("task's data", "task", self.task_identity)):
            if history.model[key] != now:
                raise InputError(
                    f"the {what} of {self.folder.path} has changed since the run began: digest {history.model[key][:16]} then, "
                    f"{now[:16]} now; restore it, or start a new run with --out"
                )
        self.replica.replay(history.updates)
        self.journal.resume()
        if self.experiment.privacy.reproducible:
            return  # testing only: an interrupted slot is repeated with the same draws
        charged = {slot for ledger in self.ledgers for slot in self._charged(ledger)}
        if self.ledgers and (lost := history.committed - charged):
            raise InputError(
                f"{self.folder.path} has committed {len(lost)} rounds, slot {min(lost)} the first, that no ledger in "
                f"{self.ledgers[0].path.parent} was charged for: the ledger was lost, cut short or replaced. Restore it; without "
                "it nobody can tell what was spent, and this data has no budget left that could be vouched for"
            )
        for slot in sorted(charged - history.slots):
            self.journal.burn(slot)
        first = (history.slots.last + 1) * self.experiment.learning.local_steps
        session.certify(self.guarantee, self.ledgers, first)

    def _charged(self, ledger: Ledger) -> dict[int, int]:
        """Slot -> how many releases of this run were charged for it."""
        charged: dict[int, int] = {}
        for release, times in ledger.slots(self.run_id).items():
            slot = release // self.experiment.learning.local_steps
            charged[slot] = charged.get(slot, 0) + times
        return charged

    def _rounds_charged(self, ledger: Ledger) -> int:
        """How many rounds this run was charged, one that was charged in part as a whole."""
        return sum(-(-times // self.experiment.learning.local_steps) for times in self._charged(ledger).values())

    def _epsilon(self) -> float | None:
        spent = [ledger.epsilon() for ledger in self.ledgers]
        return max(spent) if spent else None

    def _evaluate(self, final: bool, full: bool = False) -> float:
        score = self.replica.likelihood.evaluate(self.held_out.full if final or full else self.held_out.quick)
        self.journal.evaluation(score.loss, score.accuracy, score.examples, final, score.f1)
        rounds, spent = self.journal.history.rounds, self._epsilon()
        self.progress.evaluated(rounds, score.loss, score.accuracy, self.task.chance_floor, spent)
        if self.board is not None:
            self.board.evaluated(rounds, score.loss, score.accuracy, spent)
        return score.accuracy

    def _interrupt(self) -> None:
        if self.stop.terminated:
            raise Terminated(f"stopped by SIGTERM; continue with: pairzero run --resume {self.folder.path}")
        raise KeyboardInterrupt

    def _bow_accuracy(self) -> float | None:
        """The bag-of-words yardstick, on public data only: it is a function of the examples without any noise."""
        from fl.tasks.bow import bow_accuracy

        if not self.public or len({e.label for e in self.task.train}) < 2:
            return None
        return bow_accuracy(self.task.train, self.task.test[: self.experiment.task.test_examples])

    def _conclude(self, over: BudgetError | StoppedEarly | None, mode: Mode) -> dict[str, Any]:
        from fl.crew import CrewLost
        from fl.reporting.page import write_report
        from privacy.statement import statement

        history, experiment = self.journal.history, self.experiment
        learning = experiment.learning
        finished = isinstance(over, BudgetError) or history.rounds >= experiment.learning.rounds
        if finished:  # also when Ctrl-C came in the last round: a finished run's accuracy is that of all examples
            self._evaluate(final=True)
        peak = peak_rss_mib()  # before the yardsticks, which are not part of the method
        last = history.evaluations[-1]
        first = history.evaluations[0]
        lines = read_diagnostics(self.folder.path)
        checks = sum("check" in line for line in lines)
        self._copy_charges()
        facts = self._privacy_facts()
        summary: dict[str, Any] = {
            "name": experiment.run.name,
            "finished": finished,
            "task": self.task.name,
            "seed": experiment.run.seed,
            **accuracy_facts(last["accuracy"], last["examples"]),
            "loss": last["loss"],
            "f1": last.get("f1"),
            "zero_shot_accuracy": first["accuracy"],
            "chance_floor": self.task.chance_floor,
            "bow_accuracy": self._bow_accuracy() if finished else None,
            "first_order_accuracy": self.partial.get("first_order_accuracy"),
            "rounds": history.rounds,
            "slots": len(history.slots),
            "erased": history.erased,
            "burned": history.burned,
            "resumed": history.resumed,
            "devices": learning.devices,
            "perturbations": learning.perturbations,
            "local_steps": learning.local_steps,
            "payload": learning.payload,
            "optimiser": learning.optimiser,
            "forward_passes": learning.local_steps * self.replica.passes(learning.perturbations),
            **privacy_facts(facts, self._epsilon()),
            "train_s": self.train_s,
            "total_s": self.train_s + (self.train_began - self._began),
            "rounds_per_s": history.rounds / max(self.train_s, 1e-9),
            "aggregate_nmse_db": nmse_db(lines),
            "expected_nmse_db": None if self.profile is None else expected_nmse_db(self.profile, experiment, lines),
            "received_snr_db": run_snr_db(lines),
            "full_scale_snr_db": full_scale_snr_db(lines),
            "peak_rss_mib": peak,
            "parameters": self.replica.parameters,
            "trainable": self.replica.trainable,
            **uplink(len(history.slots), learning.scalars, self.replica.trainable, learning.payload == "sign"),
            "channel_uses": mode.channel_uses(len(history.slots) * learning.scalars + checks, learning.devices),
            "checks": checks,
            "params_digest": self.replica.digest(),
            "model_digest": history.model["digest"] if history.model else None,
            "version": version(),
            "station": None if self.bench is None else self.bench.file.station.name,
        }
        if finished and experiment.run.first_order and summary["first_order_accuracy"] is None and not self.stop:
            from fl.first_order import first_order_accuracy

            self.progress.say("training the first-order yardstick (AdamW, all weights, no privacy, no radio)")
            summary["first_order_accuracy"] = first_order_accuracy(experiment, self.task)
        write_json(self.folder.path / "summary.json", summary)
        write_atomic(self.folder.path / "statement.txt", statement(facts) + "\n")
        stopped = over is None or isinstance(over, CrewLost)
        reason = "finished" if finished else "interrupted" if stopped else "erasures"
        if isinstance(over, BudgetError):
            reason = "budget"
        elif isinstance(over, RadioStop | LeftBox):
            reason = "radio"
        self.journal.stop(reason, summary["params_digest"])
        write_report(self.folder.path)
        if over is not None:
            raise over
        if not finished:
            self._interrupt()
        return summary

    def _copy_charges(self) -> None:
        """The run's own copy of what the ledgers say; the ledgers rule."""
        from privacy.record_log import encode

        steps = self.experiment.learning.local_steps
        copies = [
            encode(
                {
                    "owner": ledger.owner.name,
                    "slot": slot,
                    "times": times,
                    "sampling_rate": self.guarantee.charge.sampling_rate,
                    "noise_multiplier": self.guarantee.at(slot * steps).charge.noise_multiplier,
                }
            ).decode()
            for ledger in self.ledgers
            if self.guarantee is not None
            for slot, times in self._charged(ledger).items()
        ]
        write_atomic(self.folder.path / CHARGES, "".join(copies))

    def _privacy_facts(self) -> PrivacyFacts:
        from fl import session
        from privacy.facts import OwnerSpent

        return facts_of(
            self.folder.path,
            self.experiment,
            self.guarantee,
            [
                OwnerSpent(ledger.owner.name, ledger.epsilon(), self._rounds_charged(ledger), str(ledger.path))
                for ledger in self.ledgers
            ],
            examples=min(len(share) for share in session.shares_of(self.experiment, self.task)),
            public_data=self.throw_away,
        )


def finished_summary(folder: RunFolder) -> dict[str, Any] | None:
    """The summary of a run that is over, else None; over is what its journal says was concluded."""
    summary, last = folder.summary, read_history(folder.path).stop
    concluded = last is not None and last["reason"] != "interrupted" and (folder.path / "report.html").is_file()
    return summary if concluded and summary is not None and summary.get("finished") else None
