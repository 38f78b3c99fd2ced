"""Do the closed forms of power control find what a solver finds, how fast, and what do causality and distrust cost?

    python -m bench.power [--quick] [--json FILE]

Rayleigh fading, SNR = P E|h|^2 / N0 per received scalar, budget of epsilon 5 at delta 1e-5 by exact accounting, A = 0.998,
device unit. Objectives are weighted error variances of the mean, sum_t A^(T-t) v_t.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.table import Row, publish
from privacy.comparison import exact_rho
from privacy.power import oracle
from privacy.power.kinked import NoisePlan, kinked_water_filling
from privacy.power.online import CertaintyEquivalent, ShareRule
from privacy.power.peak import backoff_for
from privacy.power.schedule import round_weights, snr_caps
from privacy.power.water_filling import water_filling
from radio.streams import stream

Floats = NDArray[np.float64]
EPSILON, DELTA, CONTRACTION, DEVICES = 5.0, 1e-5, 0.998, 5
CLIPPING_DELTA = 1e-6


def decibels(ratio: float) -> float:
    return 10.0 * math.log10(ratio)


def received_power(name: str, seed: int, rounds: int, devices: int, snr_db: float) -> Floats:
    """(T, K) P |h|^2 over N0 = 1."""
    return 10.0 ** (snr_db / 10.0) * stream(seed, "power bench", name).exponential(size=(rounds, devices))


def milliseconds(what: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        what()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def objective(plan: NoisePlan, weights: Floats) -> float:
    return float((weights * plan.variance(1.0)).sum())


def worst_disagreement(instances: int, rho: float) -> float:
    """Largest relative difference of objectives, water-filling and kinked, over random instances."""
    worst = 0.0
    for index in range(instances):
        draws = stream(1, "power bench instance", index)
        rounds, devices = int(draws.integers(5, 41)), int(draws.integers(2, 9))
        power = received_power("instance", index, rounds, devices, float(draws.uniform(-30.0, 20.0)))
        trusted = float(draws.choice([0.0, 0.1, 0.3, 0.6, 1.0]))
        weights = round_weights(rounds, float(draws.uniform(0.85, 1.0)))
        kinked = objective(kinked_water_filling(weights, power, 1.0, 1.0, trusted, rho), weights)
        solved = objective(oracle.robust(weights, power, 1.0, 1.0, trusted, rho), weights)
        filled = float((weights / water_filling(weights, snr_caps(power, 1.0, 1.0), 1.0, rho)).sum())
        found = float((weights / oracle.trusted(weights, power, 1.0, 1.0, rho)).sum())
        worst = max(worst, abs(kinked / solved - 1.0), abs(filled / found - 1.0))
    return worst


def online_losses(snr_db: float, rounds: int, seeds: int, rho: float) -> tuple[list[float], list[float]]:
    """Losses against the offline optimum, dB, one a seed: certainty-equivalent rule that learns as it goes, share rule."""
    weights = round_weights(rounds, CONTRACTION)
    learned, share = [], []
    for seed in range(seeds):
        caps = snr_caps(received_power("online", seed, rounds, DEVICES, snr_db), 1.0, 1.0)
        best = (weights / water_filling(weights, caps, 1.0, rho)).sum()
        for losses, rule in (
            (learned, CertaintyEquivalent(weights, 1.0, rho)),
            (share, ShareRule(weights, 1.0, rho)),
        ):
            online = np.array([rule.next(t, float(cap)) for t, cap in enumerate(caps)])
            losses.append(decibels((weights / online).sum() / best))
    return learned, share


def untrusted_cost(rounds: int, snr_db: float, rho: float, backoff: float | None = None) -> float:
    """What noise of the devices' own costs over the receiver's, dB: Na = 0 against Na = N0, C = D = 0."""
    power, weights = received_power("untrusted", 0, rounds, DEVICES, snr_db), round_weights(rounds, CONTRACTION)
    own = kinked_water_filling(weights, power, 1.0, 1.0, 0.0, rho, backoff=backoff)
    receivers = kinked_water_filling(weights, power, 1.0, 1.0, 1.0, rho)
    return decibels(objective(own, weights) / objective(receivers, weights))


def measure(quick: bool) -> list[Row]:
    rho = exact_rho(EPSILON, DELTA)
    instances = 5 if quick else 50
    large, many, solver_rounds = (1000, 20, 100) if quick else (10_000, 100, 2000)
    rounds, seeds = (400, 1) if quick else (2000, 9)
    snrs = (-25.0, 0.0) if quick else (-25.0, -20.0, -15.0, -10.0, -5.0, 0.0)

    disagreement = worst_disagreement(instances, rho)

    power, weights = received_power("timing", 0, large, many, 10.0), round_weights(large, CONTRACTION)
    closed = milliseconds(lambda: kinked_water_filling(weights, power, 1.0, 1.0, 0.0, rho), 9)
    filled = milliseconds(lambda: water_filling(weights, snr_caps(power, 1.0, 1.0), 1.0, rho), 9)
    few = power[:solver_rounds]
    few_weights = round_weights(solver_rounds, CONTRACTION)
    solver = milliseconds(lambda: oracle.robust(few_weights, few, 1.0, 1.0, 0.0, rho), 1)
    closed_few = milliseconds(lambda: kinked_water_filling(few_weights, few, 1.0, 1.0, 0.0, rho), 9)

    losses = {snr_db: online_losses(snr_db, rounds, seeds, rho) for snr_db in snrs}
    highest, plain = (max(loss for pair in losses.values() for loss in pair[rule]) for rule in (0, 1))
    strict = backoff_for(DEVICES * rounds, CLIPPING_DELTA, EPSILON).deviations
    peaks = [f"b = {b:.3g}: {untrusted_cost(rounds, 10.0, rho, b):.2f} dB" for b in (6.67, strict)]
    return [
        Row(
            "closed_vs_cvxpy",
            disagreement,
            "relative",
            f"worst of {instances} random instances, water-filling and kinked; cvxpy and Clarabel at {oracle.TOLERANCE:g}; "
            "target 1e-5",
        ),
        Row(
            "closed_form_ms",
            closed,
            "ms",
            f"kinked, T = {large}, K = {many}; water-filling {filled:.2g} ms; cvxpy at T = {solver_rounds}, K = {many}: "
            f"{solver:.0f} ms, closed form there {closed_few:.2g} ms; target 50",
        ),
        Row(
            "online_loss_db",
            highest,
            "dB",
            f"certainty-equivalent rule, which learns the fading's statistics as it goes, against the offline optimum: worst of "
            f"{seeds} runs at each SNR of {snrs[0]:g} .. {snrs[-1]:g} dB; share rule, which needs none, {plain:.3f}; "
            f"K = {DEVICES}, T = {rounds}, A = {CONTRACTION}; target 0.1",
        ),
        Row(
            "untrusted_receiver_cost_db",
            untrusted_cost(rounds, 10.0, rho),
            "dB",
            f"aggregate over trusted-receiver, 10 dB, K = {DEVICES}, T = {rounds}, C = D = 0, device unit, second-moment "
            f"power; target 0.15. With peak back-off {peaks[0]}, {peaks[1]} ({CLIPPING_DELTA:g} of delta for clipping)",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    publish("power", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
