"""Attacks on the trained model: canaries and membership, each turned into a lower bound on epsilon.

Half of the canaries and half of the candidate examples, by fair coins, are in the data of one device that trains the embedded
model by the real rules: secret Poisson batches, clip, grid, own noise. The adversary sees the weights at the start and at the
end and guesses the coins (privacy.audit.one_run).

Such attacks are weak. In zeroth-order training every canary of a round shares one scalar with all others, so they hide one
another even without noise; and loss tells little after some hundred steps. That they find nothing shows little; the transcript
audit is the one that would notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fl import session
from fl.config import Experiment, validate
from fl.guarantee import guarantee_of
from fl.replica import Replica
from fl.rounds import round_seed
from fl.update import RoundUpdate, own_moves
from privacy.accounting import epsilon, noise_multiplier
from privacy.audit.configurations import BATCH, DELTA, EPSILON, EXAMPLES
from privacy.audit.findings import Finding
from privacy.audit.one_run import accuracy, one_run_epsilon, recursion_scores
from privacy.mechanism import OwnNoise
from privacy.noise import SystemSecret
from privacy.sampling import poisson_batch
from radio.streams import stream

Floats = NDArray[np.float64]

CANDIDATES, CANARIES, ROUNDS = 200, 128, 200
TRAINED = "model.decoder.layers.0.self_attn_layer_norm.weight"
SIMULATED, SIMULATED_ROUNDS = 1000, 2000


@dataclass(frozen=True)
class Trained:
    """One run with coins: what was in, and what the adversary scores from the weights before and after."""

    claimed: float
    delta: float
    example_in: NDArray[np.bool_]
    canary_in: NDArray[np.bool_]
    loss_scores: Floats
    canary_scores: Floats


def membership_experiment(seed: int, rounds: int = ROUNDS) -> Experiment:
    """One device, as many nominal examples as coins are expected to let in, the gains of one norm."""
    nominal = (CANDIDATES + CANARIES) // 2
    return validate(
        {
            "model": {"source": "embedded"},
            "task": {"examples_per_device": CANDIDATES},
            "learning": {
                "devices": 1,
                "rounds": rounds,
                "batch": 0.1 * nominal,
                "perturbations": 1,
                "estimator": "central",
                "optimiser": "sgd",
                "parameters": [TRAINED],
                "mu": 1e-2,
                "rate": 2e-2,
            },
            "privacy": {"epsilon": 5.0, "clip": 5.0},
            "run": {"seed": seed},
        },
        "the audit",
    )


def train_with_coins(seed: int, tick: Callable[[], None] = lambda: None, rounds: int = ROUNDS) -> Trained:
    """Train with candidates and Dirac canaries in or out; `tick` is called every round."""
    experiment = membership_experiment(seed, rounds)
    learning = experiment.learning
    guarantee = guarantee_of(experiment)
    assert guarantee is not None
    task = session.experiment_task(experiment)
    replica = session.build_replica(experiment, task)
    candidates = [replica.likelihood.encode(task.prompt(e), e.target) for e in task.train[:CANDIDATES]]
    coins = stream(seed, "audit", "coins").integers(0, 2, CANDIDATES + CANARIES).astype(bool)
    example_in, canary_in = coins[:CANDIDATES], coins[CANDIDATES:]
    real, planted = np.flatnonzero(example_in), np.flatnonzero(canary_in)
    before = replica.likelihood.losses(candidates)
    start = _gains(replica)
    mechanism: OwnNoise = guarantee.mechanism
    secret = SystemSecret()
    for slot in range(rounds):
        direction = round_seed(seed, slot)
        part = poisson_batch(secret, len(real) + len(planted), experiment.sampling_rate)
        batch = [candidates[real[i]] for i in part[part < len(real)]]
        measured = replica.projections(batch, direction, 1, learning.mu)
        # A canary's gradient is the clip along one weight, so its projection is the clip times that weight's sign.
        z = replica.direction.values(TRAINED, start.shape, direction, 0)
        canaries = experiment.privacy.clip * z[planted[part[part >= len(real)] - len(real)]]
        sent = mechanism.release(np.concatenate([measured, canaries[:, None].astype(np.float64)]), secret)
        step = learning.rate * float(sent[0])
        replica.update(RoundUpdate(direction, learning.mu, 1, replica.probe, own_moves(direction, (step,))))
        tick()
    return Trained(
        claimed=epsilon([(guarantee.charge, rounds)], guarantee.delta),
        delta=guarantee.delta,
        example_in=example_in,
        canary_in=canary_in,
        loss_scores=before - replica.likelihood.losses(candidates),
        canary_scores=(start - _gains(replica))[:CANARIES],
    )


def _gains(replica: Replica) -> Floats:
    return replica.model.arrays[TRAINED].astype(np.float64)


def model_findings(trained: Trained) -> list[Finding]:
    """Both attacks on the trained model beside the claim."""
    attacks = (
        ("loss-based membership inference", trained.loss_scores, trained.example_in),
        ("Dirac canaries", trained.canary_scores, trained.canary_in),
    )
    return [_attacked(f"trained model: {name}", trained, scores, taken) for name, scores, taken in attacks]


def _attacked(name: str, trained: Trained, scores: Floats, taken: NDArray[np.bool_]) -> Finding:
    lower = one_run_epsilon(scores, taken, trained.delta)
    found = f"weak: {accuracy(scores, taken):.0%} of {len(taken)} coins guessed right, one run of embedded OPT"
    return Finding(None, name, "final weights", lower > trained.claimed, found, trained.claimed, lower)


def recursion_finding(seed: int, canaries: int = SIMULATED, rounds: int = SIMULATED_ROUNDS) -> Finding:
    """The Dirac attack on the recursion alone: more canaries and rounds than a model run affords, and no other data."""
    rate = BATCH / EXAMPLES
    multiplier = noise_multiplier(EPSILON, DELTA, rate, rounds)
    rng = stream(seed, "audit", "recursion")
    taken = rng.integers(0, 2, canaries).astype(bool)
    shown = [
        one_run_epsilon(recursion_scores(taken, rounds, rate, noise, rng), taken, DELTA) for noise in (multiplier, 0.0)
    ]
    found = f"weak: {canaries:,} canaries in one run; with no noise at all the attack shows {shown[1]:.2f}"
    return Finding(None, "recursion: Dirac canaries", "final weights", shown[0] > EPSILON, found, EPSILON, shown[0])
