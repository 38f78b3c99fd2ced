"""The facts of a run's privacy statement, from the files in its folder: experiment, journal and charges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from fl.config import Experiment, load
from fl.guarantee import FAILURE_SHARE, Guarantee, guarantee_of, threats_of
from fl.journal import NAME as JOURNAL
from privacy.accounting import Charge, Spent, epsilon
from privacy.exposure import SlotNoise, exposure
from privacy.facts import OwnerSpent, PrivacyFacts, ThreatFigure
from privacy.power.peak import clip_probability
from privacy.record_log import Record, read_records
from privacy.threats import Threat, hard_csi_margin, largest_csi_error
from privacy.unit import DEVICE, EXAMPLE
from radio.errors import InputError

CHARGES = "charges.jsonl"


def facts_of(
    run: Path,
    experiment: Experiment,
    guarantee: Guarantee | None,
    owners: Sequence[OwnerSpent] | None = None,
    *,
    examples: int | None = None,
    public_data: bool = False,
) -> PrivacyFacts:
    """The facts of the run in folder `run`.

    owners       where every data owner stands, all runs together; None: what this run's own charges come to
    examples     of the smallest owner; None: the nominal number
    public_data  the ledger was a throw-away one
    """
    if guarantee is None:
        return PrivacyFacts(enabled=False)
    privacy, learning = experiment.privacy, experiment.learning
    journal = read_records(run / JOURNAL)
    slots = {int(r["slot"]): r for r in journal if "slot" in r}
    charged = _charged(run, slots, learning.local_steps)
    if owners is None:
        owners = [
            OwnerSpent(
                name,
                epsilon(_charges(guarantee, times, learning.local_steps), guarantee.delta),
                sum(-(-n // learning.local_steps) for n in times.values()),
                "not looked at; this run alone",
            )
            for name, times in charged.items()
        ]
    recorded = [float(r["noise_std"]) for r in slots.values() if r.get("noise_std") is not None and r.get("active")]
    worst = max((float(r["csi_error"]) for r in slots.values() if r.get("csi_error") is not None), default=None)
    estimates = experiment.slots * learning.devices, FAILURE_SHARE * privacy.delta
    return PrivacyFacts(
        enabled=True,
        owners=owners,
        epsilon_target=privacy.epsilon,
        delta=privacy.delta,
        sampling_rate=guarantee.charge.sampling_rate,
        noise_multiplier=guarantee.charge.noise_multiplier,
        largest_multiplier=max(c.noise_multiplier for c in guarantee.schedule) if guarantee.schedule else None,
        clip=privacy.clip,
        denominator=learning.batch,
        scalars=learning.perturbations,
        releases=learning.local_steps,
        signs=learning.payload == "sign",
        noise_std=min(recorded, default=guarantee.noise_std(learning.devices)),
        rounds_committed=sum(r["type"] == "round" for r in slots.values()),
        rounds_sized_for=experiment.slots,
        spare_rounds=experiment.slots - learning.rounds,
        examples=examples or experiment.task.examples_per_device,
        reproducible=privacy.reproducible,
        public_data=public_data,
        unit=guarantee.unit,
        threat=guarantee.threat,
        figures=_figures(experiment, guarantee, slots, charged),
        device_epsilon=max((_device_epsilon(guarantee, t, learning.local_steps) for t in charged.values()), default=0.0)
        if guarantee.unit == EXAMPLE
        else None,
        hard_margin=None if worst is None else hard_csi_margin(worst, *estimates),
        csi_error=worst,
        csi_error_limit=largest_csi_error(*estimates),
        perfect_csi=privacy.assume_perfect_csi,
        failures=guarantee.failures,
        evaluations=sum(r["type"] == "evaluation" for r in journal),
    )


def _charged(run: Path, slots: Mapping[int, Record], local_steps: int) -> dict[str, Counter[int]]:
    """Owner -> slot -> releases charged. Charges are copied when a run ends or stops in order; without a copy, every slot of
    the journal counts as charged to everybody."""
    copies = read_records(run / CHARGES) if (run / CHARGES).is_file() else []
    if not copies:
        every = Counter({slot: local_steps for slot in slots})
        return {"every device, at most": every} if every else {}
    charged: dict[str, Counter[int]] = {}
    for copy in copies:
        charged.setdefault(copy["owner"], Counter())[int(copy["slot"])] += int(copy["times"])
    return charged


def _charges(guarantee: Guarantee, times: Counter[int], steps: int) -> Spent:
    """What the slots of `times` were charged, each kind with its count; `steps` releases a slot."""
    charges: Counter[Charge] = Counter()
    for slot, count in times.items():
        charges[guarantee.at(slot * steps).charge] += count
    return sorted(charges.items())


def _device_epsilon(guarantee: Guarantee, times: Counter[int], steps: int) -> float:
    """What the same noise is worth to a whole device: its payload may go from one limit to the other, q = 1."""
    grid, scalars = guarantee.mechanism.grid, guarantee.mechanism.scalars
    ratio = guarantee.unit.sensitivity(grid, scalars) / DEVICE.sensitivity(grid, scalars)
    charges = [(Charge(1.0, ratio * charge.noise_multiplier), n) for charge, n in _charges(guarantee, times, steps)]
    return epsilon(charges, guarantee.delta)


def _figures(
    experiment: Experiment, guarantee: Guarantee, slots: Mapping[int, Record], charged: Mapping[str, Counter[int]]
) -> list[ThreatFigure]:
    learning = experiment.learning
    enforced = guarantee.threat.name
    known = {slot: _slot_noise(r) for slot, r in slots.items() if r.get("noise_std") is not None and r.get("active")}
    most = max((times.total() for times in charged.values()), default=0)
    sent = most * learning.devices * learning.perturbations
    figures = []
    for name, threat in threats_of(experiment).items():
        if name == enforced:
            costs = (epsilon(_charges(guarantee, t, learning.local_steps), guarantee.delta) for t in charged.values())
            cost = max(costs, default=0.0)
            figures.append(ThreatFigure(threat, cost, _limits(threat)))
        elif why := _inapplicable(threat, experiment):
            figures.append(ThreatFigure(threat, None, why))
        elif not known:
            figures.append(ThreatFigure(threat, None, "the run has not recorded what its slots' noise was"))
        else:
            cost = max(_cost(threat, guarantee, known, times) for times in charged.values())
            figures.append(ThreatFigure(threat, cost, _rests_on(threat, guarantee, sent)))
    return figures


def _slot_noise(record: Record) -> SlotNoise:
    return SlotNoise(float(record["noise_std"]), int(record["active"]), float(record.get("receiver_variance") or 0.0))


def _cost(threat: Threat, guarantee: Guarantee, known: Mapping[int, SlotNoise], times: Counter[int]) -> float:
    """Of one owner; a slot that was charged and not recorded counts as the worst on record."""
    worst = min(known.values(), key=lambda n: threat.counted_equally(n.noise_std, n.active, n.receiver_variance))
    releases: Counter[SlotNoise] = Counter()
    for slot, count in times.items():
        releases[known.get(slot, worst)] += count
    mechanism = guarantee.mechanism
    sensitivity = guarantee.unit.sensitivity(mechanism.grid, mechanism.scalars)
    return exposure(threat, sensitivity, guarantee.charge.sampling_rate, releases, guarantee.delta)


def _inapplicable(threat: Threat, experiment: Experiment) -> str:
    """Why a threat has no figure in this experiment, or ""."""
    learning, radio = experiment.learning, experiment.radio
    if "others" not in threat.counts:
        return ""
    if learning.payload == "sign":
        return "signs do not add up like the noised numbers; the figure of own-noise holds"
    if learning.local_steps > 1:
        return "a device moves by its own noised numbers between measurements; the figure of own-noise holds"
    if threat.enforceable and radio.mode != "coherent":
        return f"{radio.mode} mode lets an observer tell devices apart; the figure of own-noise holds"
    return ""


def _rests_on(threat: Threat, guarantee: Guarantee, sent: int) -> str:
    """What a figure that is only reported takes for granted."""
    if "others" not in threat.counts:
        return ""
    granted = [_limits(threat)] if _limits(threat) else []
    limited = min(1.0, sent * clip_probability(guarantee.backoff)) if guarantee.noise_std(1) > 0.0 else 0.0
    if limited > FAILURE_SHARE * guarantee.delta:
        granted.append(
            f"provided that no payload was limited at a converter (probability of any in this run: up to {limited:.2g})"
        )
    return "; ".join(granted)


def _limits(threat: Threat) -> str:
    """Beyond what a figure that counts the others' noise says nothing."""
    if threat.counts != ("own", "others"):
        return ""
    colluders = f" and {threat.colluders} colluder{'s' * (threat.colluders != 1)}" if threat.colluders else ""
    return f"not guaranteed beyond {threat.dropouts} silent dropout{'s' * (threat.dropouts != 1)}{colluders}"


def facts_in(run: Path) -> PrivacyFacts:
    """The facts of a run's folder, finished or not, made by this version or an earlier one.

    Raises InputError where there is no run.
    """
    if not (run / JOURNAL).is_file():
        raise InputError(f"{run} is not a run folder: it has no {JOURNAL}; give a folder made by `pairzero run`")
    experiment = load(run / "experiment.toml")
    file = run / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    told = summary.get("privacy") or {}
    return facts_of(
        run,
        experiment,
        guarantee_of(experiment, summary.get("noise_multiplier")),
        [OwnerSpent(**owner) for owner in told.get("owners", ())] or None,
        examples=told.get("examples"),
        public_data=bool(told.get("public_data")),
    )
