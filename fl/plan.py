"""What a run would do, before it is begun: the air it takes, how long, how loud, what it costs of the privacy budget.

Nothing is sent and no radio is opened; what `pairzero run` would refuse is refused here in the same words.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.profile import Profile
from fl.calibrated import about, check_every
from fl.config import Experiment
from fl.guarantee import Guarantee, guarantee_of
from fl.proposal import limits_of
from fl.recordings import MOST_ERASED
from fl.rehearsal import AirTime, rehearse
from fl.station import Bench, not_used

if TYPE_CHECKING:
    from fl.tasks.task import Task

RECORDED_BYTES = 4  # of a sample: two codes of 16 bits
MEASURED_S = 2.0  # a round slower than this is measured once


@dataclass(frozen=True)
class DevicePlan:
    """Of one device: who, how loud, and how much of the permitted power that is."""

    device: int
    radio: str
    transmit_gain_db: float
    eirp_dbm: float  # of a full-scale tone
    permitted_dbm: float


@dataclass(frozen=True)
class Pace:
    """What the machine needs besides the air, measured."""

    round_s: float
    evaluation_s: float  # of all evaluations of the run together


@dataclass(frozen=True)
class Duty:
    """Share of time a device is on the air, and what that means for the permit.

    share        of a round
    permitted    of any `period_s`
    stops_after  rounds after which the limit stops the run; None: it does not
    """

    share: float
    permitted: float
    period_s: float
    stops_after: int | None


@dataclass(frozen=True)
class PrivacyPlan:
    """What will be charged; see `fl.guarantee`."""

    unit: str
    threat: str
    epsilon_end: float  # after the planned rounds, no slot lost
    epsilon_target: float  # with all spares used
    delta: float
    noise_multiplier: float
    noise_std: float  # of each device on each scalar, payload units
    releases: int
    spare_slots: int
    void: bool


@dataclass(frozen=True)
class RunPlan:
    """All of it; None where an experiment has no such thing (an ideal air takes no time)."""

    air: str
    mode: str
    notes: list[str]
    lo_hz: float | None
    rate_sps: float | None
    receive_gain_db: float | None
    window: int
    pilot_window: int
    rounds: int
    evaluations: int
    air_time: AirTime | None
    duty: Duty | None
    pace: Pace
    duration_s: float
    devices: list[DevicePlan]
    privacy: PrivacyPlan | None
    ledger: str
    ledger_state: str
    recording_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def plan_run(
    experiment: Experiment,
    bench: Bench | None = None,
    run: Path = Path("runs/NAME"),
    profile: Profile | None = None,
) -> RunPlan:
    """The plan of a run in the folder `run`, with a profile that is valid here. Loads model and data, and
    measures a round of losses on this machine.

    Raises InputError and BudgetError for what a run would refuse, as far as that is known without a radio.
    """
    from fl import session

    radio, learning = experiment.radio, experiment.learning
    guarantee = guarantee_of(experiment)
    limits_of(experiment, guarantee)
    file = None if bench is None else bench.file
    sampled = radio.mode != "ideal" and radio.fidelity == "sample"
    air_time = rehearse(experiment, file, check_every(experiment, profile)) if sampled else None
    task = session.experiment_task(experiment)
    evaluations = 2 + (learning.rounds - 1) // experiment.run.evaluate_every
    pace = _pace(experiment, task, evaluations)
    # On the loopback nobody waits for the air; computing its samples is in the pace of no plan, and small.
    air_s = air_time.seconds if air_time is not None and bench is not None else 0.0
    round_s = pace.round_s + air_s
    ledger, state = _ledger(experiment, task, guarantee, run)
    return RunPlan(
        air=radio.described if bench is None else bench.described(experiment),
        mode=radio.mode,
        notes=([] if bench is None else _notes(experiment, bench))
        + ([] if profile is None else about(experiment, profile, file)),
        lo_hz=None if file is None else file.station.lo_hz,
        rate_sps=radio.rate_sps if file is None else file.station.rate_sps,
        receive_gain_db=None if file is None else file.station.receive_gain_db,
        window=radio.window,
        pilot_window=radio.pilot_window,
        rounds=learning.rounds,
        evaluations=evaluations,
        air_time=air_time,
        duty=None if bench is None or air_time is None else _duty(bench, air_time, round_s, learning.rounds),
        pace=pace,
        duration_s=learning.rounds * round_s + pace.evaluation_s,
        devices=[] if bench is None else _devices(bench),
        privacy=_privacy(experiment, guarantee),
        ledger=ledger,
        ledger_state=state,
        recording_bytes=_recording_bytes(experiment, air_time),
    )


def _notes(experiment: Experiment, bench: Bench) -> list[str]:
    notes = [not_used(experiment)]
    if bench.spare:
        notes.append(f"{bench.spare} of the station's devices are not opened: learning.devices is smaller")
    if bench.file.permit is None:
        notes.append(
            "the station file has no [permit]: this transmission is vouched for with --allow-tx, at these gains only"
        )
    return notes


def _devices(bench: Bench) -> list[DevicePlan]:
    return [
        DevicePlan(k, d.named, bench.file.transmit_gain_db(d), bench.file.eirp_dbm(d), bench.permit.max_eirp_dbm)
        for k, d in enumerate(bench.file.device)
    ]


def _duty(bench: Bench, air: AirTime, round_s: float, rounds: int) -> Duty:
    permit = bench.permit
    share = air.on_air_s / round_s
    allowance_s = permit.duty * permit.duty_period_s
    # Spent within the first period, or never: after that what is spent and what comes back are level.
    stops = permit.duty < 1.0 and share > permit.duty and rounds * air.on_air_s > allowance_s
    return Duty(share, permit.duty, permit.duty_period_s, int(allowance_s / air.on_air_s) if stops else None)


def _pace(experiment: Experiment, task: Task, evaluations: int) -> Pace:
    """Times one round's losses of all devices, and a few held-out examples."""
    from fl import session

    learning = experiment.learning
    replica = session.build_replica(experiment, task)
    encode = replica.likelihood.encode
    many = max(1, round(learning.batch)) * learning.devices
    together = [encode(task.prompt(e), e.target) for e in task.train[:many]]
    round_s = math.inf
    for seed in (1, 2, 3):  # the first also compiles
        began = time.perf_counter()
        for _ in range(learning.local_steps):
            replica.projections(together, seed, learning.perturbations, learning.mu)
        round_s = min(round_s, time.perf_counter() - began)
        if round_s > MEASURED_S:
            break
    held_out = session.held_out(experiment, task, replica.likelihood)
    few = held_out.full[:32]
    began = time.perf_counter()
    replica.likelihood.evaluate(few)
    each = (time.perf_counter() - began) / len(few)
    examples = 2 * len(held_out.full) + (evaluations - 2) * len(held_out.quick)
    return Pace(round_s, each * examples)


def _privacy(experiment: Experiment, guarantee: Guarantee | None) -> PrivacyPlan | None:
    if guarantee is None:
        return None
    from privacy.accounting import epsilon

    learning, privacy = experiment.learning, experiment.privacy
    return PrivacyPlan(
        unit=privacy.unit,
        threat=privacy.threat,
        epsilon_end=epsilon(guarantee.planned(end=learning.rounds * learning.local_steps), guarantee.delta),
        epsilon_target=privacy.epsilon,
        delta=privacy.delta,
        noise_multiplier=guarantee.charge.noise_multiplier,
        noise_std=guarantee.noise_std(learning.devices),
        releases=experiment.releases,
        spare_slots=experiment.slots - learning.rounds,
        void=privacy.reproducible,
    )


def _ledger(experiment: Experiment, task: Task, guarantee: Guarantee | None, run: Path) -> tuple[str, str]:
    """Where the charges will be written, and what is there. Raises BudgetError where that leaves too little for the run."""
    from fl import session
    from privacy.identity import KEY_FILE, keyed_digest

    if guarantee is None:
        return "", ""
    folder = session.ledger_folder(experiment, task, run)
    if session.is_throw_away(experiment, task):
        return str(folder), "thrown away with the run: the data are public"
    if not (folder / KEY_FILE).is_file():
        return str(folder), "new"
    file = folder / f"{keyed_digest(folder, task.pool)[:32]}.jsonl"
    if not file.is_file():
        return str(file), "new"
    with session.pool_ledger(experiment, task, guarantee, folder) as ledger:
        session.check_budgets(experiment, guarantee, [ledger])
        return str(file), f"epsilon {ledger.epsilon():.3f} is spent already"


def _recording_bytes(experiment: Experiment, air: AirTime | None) -> int:
    """At most: the regular slots, the spares among them, and the erased ones that are kept besides."""
    every = experiment.run.record_every
    if not every or air is None:
        return 0
    return (-(-experiment.slots // every) + MOST_ERASED) * air.samples * RECORDED_BYTES
