from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from privacy.accounting import Charge, epsilon, noise_multiplier
from privacy.audit.bound import error_rates
from privacy.audit.transcripts import System, audit, epsilon_lower, log_likelihood_ratio, signals, statistic
from privacy.threats import AGGREGATE, OWN_NOISE, TRUSTED_RECEIVER
from radio.streams import stream

DELTA = 1e-5


def gaussian_system(threat=OWN_NOISE, rounds: int = 40, devices: int = 1, scalars: int = 1) -> System:
    z = noise_multiplier(5.0, DELTA, 1.0, rounds)
    return System(
        name="test",
        unit="device",
        threat=threat,
        charged=[(Charge(1.0, z), rounds)],
        delta=DELTA,
        payloads=(np.zeros(scalars), np.full(scalars, 1.0 / math.sqrt(scalars))),
        noise_std=np.full(devices, z / math.sqrt(devices)),
        rounds=rounds,
    )


def sampled_system(rounds: int = 30, scalars: int = 2) -> System:
    charge = Charge(0.1, 1.2)
    return replace(
        gaussian_system(rounds=rounds, scalars=scalars),
        charged=[(charge, rounds)],
        noise_std=np.array([1.2]),
        rate=0.1,
    )


def test_the_ratio_of_a_gaussian_run_is_normal_with_mean_half_mu_squared() -> None:
    system = gaussian_system()
    mu = math.sqrt(system.rounds) / system.noise_std[0]
    for world, sign in ((0, -1), (1, 1)):
        drawn = statistic(system, world, 20_000, stream(1, "ratio", world))
        assert drawn.mean() == pytest.approx(sign * mu**2 / 2, abs=5 * mu / math.sqrt(20_000))
        assert drawn.std() == pytest.approx(mu, rel=0.03)


@pytest.mark.parametrize("world", [0, 1])
@pytest.mark.parametrize(
    "system",
    [
        gaussian_system(scalars=3),
        gaussian_system(AGGREGATE, devices=4),
        replace(gaussian_system(TRUSTED_RECEIVER), noise_std=np.zeros(1), receiver_std=6.0, gain=1.1),
        sampled_system(),
    ],
    ids=["three scalars", "aggregate", "receiver", "sampled"],
)
def test_one_number_a_round_tells_as_much_as_every_signal(system: System, world: int) -> None:
    whole = log_likelihood_ratio(system, signals(system, world, 4000, stream(2, "signals", world)))
    short = statistic(system, world, 4000, stream(3, "projection", world))
    assert ks_2samp(whole, short).pvalue > 1e-3


def test_the_ratio_is_that_of_the_densities() -> None:
    system = sampled_system(rounds=3, scalars=2)
    heard = signals(system, 1, 5, stream(4, "signals"))
    zero = norm.logpdf(heard, 0.0, 1.2).sum(axis=2)
    one = norm.logpdf(heard, system.shift, 1.2).sum(axis=2)
    expected = np.log(0.9 + 0.1 * np.exp(one - zero)).sum(axis=1)
    np.testing.assert_allclose(log_likelihood_ratio(system, heard), expected, rtol=1e-10)


def test_only_the_noise_that_a_threat_leaves_is_heard() -> None:
    system = replace(gaussian_system(devices=3), noise_std=np.array([1.0, 2.0, 2.0]), receiver_std=4.0)
    assert system.heard_std == 1.0
    assert replace(system, threat=AGGREGATE).heard_std == 3.0
    assert replace(system, threat=TRUSTED_RECEIVER).heard_std == 5.0


def test_noise_that_can_be_subtracted_leaves_nothing_hidden() -> None:
    system = replace(gaussian_system(), noise_std=np.zeros(1))
    assert audit(system, 500, 1, 0.95).lower > 15


def test_within_the_sampled_family_a_correct_system_stays_below_its_claim_and_a_weak_one_does_not() -> None:
    rounds = 25
    charge = Charge(0.1, 1.2)
    correct = replace(
        sampled_system(rounds, 1), charged=[(charge, rounds)], noise_std=np.array([charge.noise_multiplier])
    )
    weak = replace(correct, noise_std=correct.noise_std / math.sqrt(2.0))
    verdict = audit(correct, 8000, 5, 0.99)
    assert 0.6 * verdict.claimed < verdict.lower <= verdict.claimed == epsilon(correct.charged, DELTA)
    assert audit(weak, 8000, 5, 0.99).flagged


def test_without_samples_that_differ_nothing_is_shown() -> None:
    same = stream(6, "same").standard_normal(4000)
    rates = error_rates(same, same, DELTA)
    assert epsilon_lower([(Charge(1.0, 5.0), 10)], DELTA, rates) == 0.0
