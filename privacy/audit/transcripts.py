"""Simulated radio transcripts of whole runs in two neighbouring worlds, and what they say about the claim.

In every round the adversary of a threat observes the signal of one device plus the noise it cannot remove:

    y_t = g b_t x + n_t,    b_t in {0, 1} (world 1: the canary's own coin; world 0: never),

where x (P,) is the difference that the canary makes to the noise-free payload, g how loud it arrives relative to plan, and
n_t the noise of everybody who transmits (threats that see the sum only) plus the receiver's (where that is trusted). All
else is known to the adversary and subtracted. The statistic is the log likelihood ratio of all rounds, the best there is
(Neyman, Pearson). The noise is isotropic, so the projection of y_t on x holds all that y_t tells, and one normal number a
round is drawn; `signals` draws everything, and the tests compare the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
from numpy.typing import NDArray

from privacy.accounting import Charge, Spent, epsilon, gaussian_delta, gaussian_epsilon
from privacy.audit.bound import Profile, Rates, counting_lower, error_rates, gaussian_mu_lower, scale_upper
from privacy.gaussian_loss import gaussian_loss
from privacy.threats import Threat
from radio.streams import stream

Floats = NDArray[np.float64]

BLOCK = 2**21  # normal numbers drawn at once: 16 MiB
FINEST = 2.0**-20  # noise below this share of the signal counts as this share: a step of the grid
INTERVAL = 1e-3  # bins of privacy loss while searching; wider bins allow more, so they never raise a false alarm


@dataclass(frozen=True)
class System:
    """What was claimed, and what is on the air.

    name          of the configuration
    unit          of privacy, `example` or `device`
    threat        the adversary
    charged       what the ledger holds at the end of the run
    delta         of the claim
    payloads      noise-free payload (P,) of the device in question in world 0 and in world 1
    noise_std     (K,) own noise of every device that transmits, payload units, the device in question first
    receiver_std  receiver's noise on the sum, payload units
    gain          amplitude at which the device in question arrives, relative to plan
    rate          probability with which the canary takes part in a round
    rounds        on the air
    """

    name: str
    unit: str
    threat: Threat
    charged: Spent
    delta: float
    payloads: tuple[Floats, Floats]
    noise_std: Floats
    rounds: int
    rate: float = 1.0
    receiver_std: float = 0.0
    gain: float = 1.0

    @property
    def claimed_epsilon(self) -> float:
        return epsilon(self.charged, self.delta)

    @property
    def shift(self) -> Floats:
        """(P,) how far the canary moves what arrives."""
        return self.gain * (self.payloads[1] - self.payloads[0])

    @property
    def heard_std(self) -> float:
        """Standard deviation of the noise that the adversary cannot remove, on each scalar."""
        own = self.noise_std if "others" in self.threat.counts else self.noise_std[:1]
        receiver = self.receiver_std if "receiver" in self.threat.counts else 0.0
        # Only the device in question is louder than planned: the worst case for it.
        scaled = np.concatenate([self.gain * own[:1], own[1:]])
        return math.sqrt(float(np.sum(scaled**2)) + receiver**2)

    @property
    def distance(self) -> float:
        """Shift of one round in standard deviations of the noise."""
        size = float(np.linalg.norm(self.shift))
        return size / max(self.heard_std, FINEST * size)


def signals(system: System, world: int, count: int, rng: np.random.Generator) -> Floats:
    """(count, rounds, P): what the adversary observes less what it knows, every noise drawn on its own."""
    coins = (rng.random((count, system.rounds, 1)) < system.rate) & (world == 1)
    heard = coins * system.shift
    shape = (*coins.shape[:2], len(system.shift))
    others = system.noise_std[1:] if "others" in system.threat.counts else system.noise_std[:0]
    for std in (system.gain * system.noise_std[0], *others):
        heard = heard + std * rng.standard_normal(shape)
    if "receiver" in system.threat.counts:
        heard = heard + system.receiver_std * rng.standard_normal(shape)
    return heard


def log_likelihood_ratio(system: System, heard: Floats) -> Floats:
    """(count,) log of P(heard | world 1) / P(heard | world 0), from observations (count, rounds, P)."""
    variance = system.heard_std**2
    exponent = (heard @ system.shift - 0.5 * float(system.shift @ system.shift)) / variance
    return np.asarray(_mixed(exponent, system.rate).sum(axis=1))


def statistic(system: System, world: int, count: int, rng: np.random.Generator) -> Floats:
    """(count,) samples of the log likelihood ratio of whole runs, by the projections alone."""
    out = np.empty(count)
    rows = max(1, BLOCK // system.rounds)
    distance = system.distance
    for start in range(0, count, rows):
        some = out[start : start + rows]
        projected = rng.standard_normal((len(some), system.rounds))
        if world == 1 and system.rate < 1.0:
            projected += distance * (rng.random(projected.shape, dtype=np.float32) < system.rate)
        elif world == 1:
            projected += distance
        projected *= distance
        projected -= 0.5 * distance**2
        some[:] = _mixed(projected, system.rate).sum(axis=1)
    return out


def _mixed(exponent: Floats, rate: float) -> Floats:
    """log(1 - q + q e^x), of a round in which the canary took part with probability q."""
    if rate == 1.0:
        return exponent
    return np.asarray(np.log1p(rate * np.expm1(np.minimum(exponent, 700.0))))


@dataclass(frozen=True)
class Verdict:
    """What the transcripts of a system show.

    claimed   epsilon by the accountant
    lower     epsilon at the same delta that the mechanism claimed must have had at least
    counting  epsilon shown without assuming any mechanism
    """

    claimed: float
    lower: float
    counting: float

    @property
    def flagged(self) -> bool:
        return max(self.lower, self.counting) > self.claimed


def audit(system: System, transcripts: int, seed: int, confidence: float) -> Verdict:
    """Likelihood-ratio audit of one system.

    transcripts  in each world, that measure; as many again choose the thresholds
    confidence   of this verdict's lower bounds
    """
    zero, one = (
        statistic(system, world, 2 * transcripts, stream(seed, "audit", system.name, system.threat.name, world))
        for world in (0, 1)
    )
    rates = error_rates(zero, one, system.delta, confidence)
    lower = epsilon_lower(system.charged, system.delta, rates)
    return Verdict(system.claimed_epsilon, lower, counting_lower(rates, system.delta))


def epsilon_lower(charged: Spent, delta: float, rates: tuple[Rates, ...]) -> float:
    """Epsilon at `delta` of the charged mechanism with its noise so weak that it just allows the rates."""
    if all(charge.sampling_rate == 1.0 for charge, _ in charged):
        mu = gaussian_mu_lower(rates)
        return gaussian_epsilon(mu, delta) if mu > 0.0 else 0.0
    scale = scale_upper(rates, lambda factor: _profile(tuple(charged), factor))
    return epsilon(_scaled(charged, scale), delta)


def _scaled(charged: Spent, factor: float) -> Spent:
    return [(Charge(charge.sampling_rate, charge.noise_multiplier * factor), count) for charge, count in charged]


@lru_cache(maxsize=32)
def _profile(charged: tuple[tuple[Charge, int], ...], factor: float) -> Profile:
    """delta(epsilon) of the charges with their noise scaled; an upper bound."""
    if all(charge.sampling_rate == 1.0 for charge, _ in charged):
        mu = math.sqrt(sum(count / charge.noise_multiplier**2 for charge, count in charged)) / factor
        return lambda epsilons: np.array([gaussian_delta(mu, float(e)) for e in epsilons])
    scaled = _scaled(charged, factor)
    # A weak noise has large losses and can do with wider bins, as in privacy.accounting.
    interval = INTERVAL * max(1.0, 2.0 / min(charge.noise_multiplier for charge, _ in scaled)) ** 2
    rounds = (
        (gaussian_loss(charge.noise_multiplier, charge.sampling_rate, interval), count) for charge, count in scaled
    )
    parts = [loss.self_compose(count) for loss, count in rounds]
    total = reduce(lambda left, right: left.compose(right), parts)
    return lambda epsilons: np.asarray(total.get_delta_for_epsilon(list(epsilons)))
