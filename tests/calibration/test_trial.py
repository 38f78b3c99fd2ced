"""Error, bias and slope of known sums, with intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.trial import Sweep, Trial


def made(rounds: int, scalars: int, slope: float, bias: float, noise: float, seed: int = 1) -> Trial:
    rng = np.random.default_rng(seed)
    trial = Trial(Sweep(64, 64, rounds, scalars), 3)
    for _ in range(rounds):
        truth = rng.uniform(-1, 1, (3, scalars)).sum(axis=0)
        trial.truth.append(truth)
        trial.total.append(slope * truth + bias + noise * rng.standard_normal(scalars))
    return trial


def test_the_truth_is_within_the_intervals() -> None:
    trials = [made(6, 10, 0.98, 0.05, 0.3, seed) for seed in range(300)]
    for found, truth in (("bias", 0.05), ("slope", 0.98)):
        inside = [abs(value - truth) <= 1.96 * error for value, error in (getattr(t, found)() for t in trials)]
        assert np.mean(inside) == pytest.approx(0.95, abs=0.04), found
    mse = 0.3**2 + 0.05**2 + 0.02**2  # truth has variance 1
    assert np.mean([t.mse()[0] for t in trials]) == pytest.approx(mse, rel=0.02)


def test_nmse_of_a_known_error() -> None:
    trial = Trial(Sweep(64, 64, 1, 2), 1, truth=[np.array([1.0, -1.0])], total=[np.array([1.1, -1.1])])
    assert trial.nmse_db() == pytest.approx(-20.0)
    assert trial.mse()[1] == math.inf  # one round tells no spread


def test_a_mode_that_is_erased_too_often_does_not_work() -> None:
    trial = made(8, 2, 1.0, 0.0, 0.1)
    trial.reasons += ["interference"]
    assert trial.works
    trial.reasons += ["interference"] * 2
    assert not trial.works
