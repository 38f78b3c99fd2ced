"""Closed forms against simulations of what they describe, and what is done where a measurement disagrees."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.prediction import SumError, coherent_error, energy_error, mean_of, unexplained

POWER = np.array([0.5, 1.0, 2.0])
NOISE = 0.2


def test_energy_error_is_that_of_simulated_energies() -> None:
    """Random-phase signals of powers rho c_k in white noise, slot by slot; payloads uniform, so of independent signs."""
    rng = np.random.default_rng(1)
    window, rho, rounds = 64, POWER.min(), 20000
    x = rng.uniform(-1, 1, (rounds, 3))
    energies = []
    for part in (np.maximum(x, 0), np.maximum(-x, 0)):
        waves = np.exp(2j * np.pi * rng.random((rounds, 3, window // 2)))
        noise = np.sqrt(NOISE / 2) * rng.standard_normal((rounds, window // 2, 2)) @ [1, 1j]
        energies.append(np.mean(np.abs((np.sqrt(rho * part)[:, :, None] * waves).sum(axis=1) + noise) ** 2, axis=1))
    errors = (energies[0] - energies[1]) / rho - x.sum(axis=1)
    form = energy_error(POWER, np.zeros(3), NOISE, window)
    assert form.of(3) == pytest.approx(float(np.mean(errors**2)), rel=0.05)
    given = form.given(x.T)
    assert form.of(3) == pytest.approx(float(given.mean()), rel=0.05)
    assert np.mean(errors**2 / given) == pytest.approx(1.0, rel=0.03)
    agree = np.all(x > 0, axis=1) | np.all(x < 0, axis=1)  # all in one slot
    assert np.mean(errors[agree] ** 2 / given[agree]) == pytest.approx(1.0, rel=0.06)


def test_coherent_error_is_that_of_simulated_projections() -> None:
    rng = np.random.default_rng(2)
    window, rounds, relative = 32, 40000, np.array([0.02, 0.01, 0.005])
    x = rng.uniform(-1, 1, (rounds, 3))
    off = 1.0 + np.sqrt(relative / 2) * (rng.standard_normal((rounds, 3, 2)) @ [1, 1j])
    eta = np.sqrt(POWER.min())
    noise = np.sqrt(NOISE / window / 2) * (rng.standard_normal((rounds, 2)) @ [1, 1j])
    errors = ((eta * x * off).sum(axis=1) + noise).real / eta - x.sum(axis=1)
    assert coherent_error(POWER, relative, NOISE, window).of(3) == pytest.approx(float(np.mean(errors**2)), rel=0.05)


def test_errors_by_chance_fall_with_the_window_and_those_of_pilots_with_theirs() -> None:
    relative = np.array([0.02, 0.01, 0.005])
    for form in (coherent_error, energy_error):
        longer = form(POWER, relative / 4, NOISE, 512)
        assert form(POWER, relative, NOISE, 64).longer(8, 4).of(3) == pytest.approx(longer.of(3))


def test_the_mean_of_rounds() -> None:
    assert mean_of([SumError(1.0, 2.0, 0.0, 4.0), SumError(3.0)]) == SumError(2.0, 1.0, 0.0, 2.0)


def test_what_chance_explains_is_left_alone() -> None:
    closed = SumError(0.3)
    assert unexplained(closed, 3, 0.33, 0.02) == 0.0
    beyond = unexplained(closed, 3, 0.5, 0.02)
    assert SumError(0.3, payload=beyond).of(3) == pytest.approx(0.5)
    assert unexplained(closed, 3, 0.2, 0.02) < 0.0
