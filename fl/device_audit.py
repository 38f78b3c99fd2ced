"""Audits of the code that runs: real devices of a real session, the embedded model, and the same with faults planted.

What the likelihood-ratio audit must assume is tested here: that the noise is as strong as claimed and secret, batches are
Poisson, every example is clipped on its own, every transmission is charged, and no example moves another one's loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from fl import session
from fl.config import Experiment, validate
from fl.device import Device
from fl.guarantee import guarantee_of
from fl.likelihood import Encoded, Group, Likelihood, OptionLikelihood
from privacy.audit import checks
from privacy.audit.checks import Check
from privacy.audit.faults import (
    AGGREGATE_CLIP,
    BATCH_MATES,
    DENOMINATOR,
    HALF_VARIANCE,
    PUBLIC_NOISE,
    REPLAY,
    SHUFFLED,
    clip_of_sum,
    mean_of_batch,
)
from privacy.audit.findings import Finding
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret
from radio.streams import stream

Floats = NDArray[np.float64]
Audit = tuple[str, Callable[[], Finding]]

EXAMPLES, BATCH, SCALARS, CLIP = 100, 10, 2, 5.0
DRAWS, BATCHES, MATES = 1000, 400, 24
SLOTS, REPLAYED = 20, 5


@dataclass(frozen=True)
class Bench:
    """What is audited: the experiment, its likelihood, and the devices of two sessions with the same seed."""

    experiment: Experiment
    likelihood: Likelihood
    first: Device
    again: Device


@contextmanager
def bench(seed: int) -> Iterator[Bench]:
    """Real sessions of one device on the generated reviews, with ledgers that are thrown away."""
    experiment = validate(
        {
            "model": {"source": "embedded"},
            "task": {"examples_per_device": EXAMPLES},
            "learning": {"devices": 1, "rounds": 100, "batch": BATCH, "perturbations": SCALARS},
            "privacy": {"epsilon": 0.5, "clip": CLIP},
            "run": {"seed": seed},
        },
        "the audit",
    )
    guarantee = guarantee_of(experiment)
    task = session.experiment_task(experiment)
    likelihood = session.build_replica(experiment, task).likelihood
    with TemporaryDirectory(prefix="pairzero-audit-") as folder:
        devices: list[Device] = []
        try:
            for name in ("first", "again"):
                devices += session.build_devices(experiment, task, likelihood, guarantee, Path(folder) / name)
            yield Bench(experiment, likelihood, *devices)
        finally:
            session.close_ledgers(devices)


def device_audits(what: Bench) -> list[Audit]:
    """All audits of running code by name: each correct system, then with its fault."""
    first, seed = what.first, what.experiment.run.seed
    public = partial(replace, secret=ReproducibleSecret(seed, "device", 0))
    weak = replace(first, mechanism=_weaker(_mechanism(first)))
    few = [np.concatenate([np.full((3, SCALARS), CLIP), np.full((1, SCALARS), -CLIP)])]
    audits: list[tuple[str | None, str, Callable[[], Check]]] = [
        (None, "noise variance", lambda: _variance(first, first)),
        (HALF_VARIANCE, "noise variance", lambda: _variance(weak, first)),
        (None, "secret noise", lambda: _secrecy(first, what.again, seed)),
        (PUBLIC_NOISE, "secret noise", lambda: _secrecy(public(first), public(what.again), seed)),
        (None, "clip per example", lambda: _sensitivity(first.clean, first, _hostile(seed))),
        (AGGREGATE_CLIP, "clip per example", lambda: _sensitivity(partial(clip_of_sum, first.grid), first, _hostile(seed))),
        (None, "fixed denominator", lambda: _sensitivity(first.clean, first, few)),
        (DENOMINATOR, "fixed denominator", lambda: _sensitivity(partial(mean_of_batch, first.grid), first, few)),
        (None, "charges", lambda: _charges(first, "honest", first.release)),
        (REPLAY, "charges", lambda: _charges(first, "replayed", lambda _, slot, values: first.payload(slot, values))),
        (None, "Poisson sampler", lambda: _sampler(first, first.batch)),
        (SHUFFLED, "Poisson sampler", lambda: _sampler(first, partial(shuffled_batch, first, seed))),
        (None, "batch-mates", lambda: _mates(what.likelihood, first.examples)),
        (BATCH_MATES, "batch-mates", lambda: _mates(Unpadded.of(what.likelihood), first.examples)),
    ]  # fmt: skip
    return [(fault or name, partial(_finding, fault, name, run)) for fault, name, run in audits]


def _finding(fault: str | None, name: str, run: Callable[[], Check]) -> Finding:
    check = run()
    return Finding(fault, f"code: {name}", "own-noise", check.flagged, check.found)


def _mechanism(device: Device) -> OwnNoise:
    assert device.mechanism is not None
    return device.mechanism


def _weaker(mechanism: OwnNoise) -> OwnNoise:
    charge = mechanism.charge
    return replace(mechanism, charge=replace(charge, noise_multiplier=charge.noise_multiplier / math.sqrt(2.0)))


def _noise(device: Device) -> Floats:
    """(DRAWS,) what the device sends for empty batches: nothing but its noise."""
    empty = np.zeros((0, SCALARS))
    return np.concatenate([device.payload(slot, empty) for slot in range(DRAWS // SCALARS)])


def _variance(device: Device, claimed: Device) -> Check:
    return checks.noise_variance(_noise(device), _mechanism(claimed).noise_std)


def _secrecy(first: Device, again: Device, seed: int) -> Check:
    guesses = [stream(seed, *names).standard_normal(DRAWS) for names in (("noise",), ("perturbation",), ("device", 0))]
    guesses.append(_noise(replace(first, secret=ReproducibleSecret(seed, "device", 0))))
    return checks.noise_is_secret(_noise(first), _noise(again), guesses)


def _hostile(seed: int) -> list[Floats]:
    """Batches (n, SCALARS) with outliers, infinities, NaN, values that saturate, and values near the grid's step."""
    rng = stream(seed, "audit", "hostile")
    usual = CLIP * rng.standard_normal((20, SCALARS))
    broken = np.array([[np.nan, 1.0], [np.inf, -np.inf], [1e300, -1e300], [2.0, 2.0]])
    return [
        usual,
        usual * 1e-6,
        8.0 * CLIP * np.sign(usual),
        np.concatenate([broken, usual]),
        np.full((40, SCALARS), 2.0 * CLIP),
    ]


def _sensitivity(clean: Callable[[Floats], Floats], device: Device, batches: Sequence[Floats]) -> Check:
    mechanism = _mechanism(device)
    claimed = mechanism.unit.sensitivity(mechanism.grid, SCALARS)
    with np.errstate(invalid="ignore", over="ignore"):
        return checks.sensitivity(clean, batches, claimed)


def _charges(device: Device, run_id: str, send: Callable[[str, int, Floats], Floats]) -> Check:
    """SLOTS rounds, of which the last REPLAYED are computed and sent once more, as after a crash."""
    values = np.zeros((1, SCALARS))
    for slot in range(SLOTS):
        device.release(run_id, slot, values)
    for slot in range(SLOTS - REPLAYED, SLOTS):
        send(run_id, slot, values)
    assert device.ledger is not None
    return checks.charged_rounds(SLOTS + REPLAYED, sum(device.ledger.slots(run_id).values()))


def shuffled_batch(device: Device, seed: int, release: int) -> list[Encoded]:
    """The fault: an ordinary loader, which goes through a permutation of the examples in every epoch."""
    size = round(device.rate * len(device.examples))
    epoch, part = divmod(release, len(device.examples) // size)
    order = stream(seed, "audit", "shuffle", epoch).permutation(len(device.examples))
    return [device.examples[i] for i in order[part * size : (part + 1) * size]]


def _sampler(device: Device, batch: Callable[[int], list[Encoded]]) -> Check:
    place = {id(example): i for i, example in enumerate(device.examples)}
    taken = np.zeros((BATCHES, len(device.examples)), dtype=bool)
    for release in range(BATCHES):
        taken[release, [place[id(example)] for example in batch(release)]] = True
    return checks.poisson_sampling(taken, device.rate)


def _mates(likelihood: Likelihood, examples: Sequence[Encoded]) -> Check:
    some = list(examples[:MATES])
    alone = np.concatenate([likelihood.losses([example]) for example in some])
    return checks.same_bits(likelihood.losses(some), alone)


class Unpadded(OptionLikelihood):
    """The fault: one forward for the whole batch, as long as its longest example."""

    @classmethod
    def of(cls, likelihood: Likelihood) -> Unpadded:
        made = cls.__new__(cls)
        made.__dict__.update(likelihood.__dict__)
        return made

    def _groups(self, examples: Sequence[Encoded]) -> Iterator[Group]:
        length = max(len(e.ids) for e in examples)
        ids = torch.full((len(examples), length), self._pad)
        for row, example in enumerate(examples):
            ids[row, : len(example.ids)] = torch.tensor(example.ids)
        yield Group(list(range(len(examples))), ids, torch.tensor([len(e.ids) - 1 for e in examples]))
