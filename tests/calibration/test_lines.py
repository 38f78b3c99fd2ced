"""Lines in white noise against Cramer-Rao bounds, and those against numeric Fisher information."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.lines import amplitude_bound, fit_lines, frequency_bound, refine, separate, strongest
from radio.streams import stream

N = 512


def noise(seed: int, variance: float, n: int = N) -> np.ndarray:
    return stream(seed, "lines").standard_normal((n, 2)) @ np.array([1.0, 1j]) * math.sqrt(variance / 2.0)


def line(amplitude: complex, cycles: float, n: int = N) -> np.ndarray:
    return amplitude * np.exp(2j * np.pi * cycles * (np.arange(n) - (n - 1) / 2.0))


def fisher(parameters: np.ndarray, variance: float) -> np.ndarray:
    """Of (amplitude, phase, frequency), by differences: I = 2 / v Re(J^H J) for complex Gaussian noise."""

    def model(x: np.ndarray) -> np.ndarray:
        return line(x[0] * np.exp(1j * x[1]), x[2])

    steps = np.array([1e-6, 1e-6, 1e-9])
    columns = [
        (model(parameters + d) - model(parameters - d)) / (2.0 * d[k])
        for k in range(3)
        for d in [np.where(np.arange(3) == k, steps, 0.0)]
    ]
    jacobian = np.stack(columns, axis=1)
    return np.asarray(2.0 / variance * (jacobian.conj().T @ jacobian).real)


def test_bounds_are_the_inverse_of_the_fisher_information() -> None:
    amplitude, variance = 0.3, 0.02
    bound = np.linalg.inv(fisher(np.array([amplitude, 0.7, 0.1234]), variance))
    assert math.sqrt(bound[0, 0]) == pytest.approx(amplitude_bound(variance, N), rel=1e-6)
    assert math.sqrt(bound[1, 1]) == pytest.approx(amplitude_bound(variance, N) / amplitude, rel=1e-4)
    assert math.sqrt(bound[2, 2]) == pytest.approx(frequency_bound(variance, amplitude, N), rel=1e-4)


def test_errors_of_several_known_lines_are_their_bound_and_what_is_stated() -> None:
    truth, cycles, variance = np.array([0.3, 0.05j, -0.02 + 0.01j]), (0.1, 0.0, -0.1), 0.02
    clean = sum(line(a, c) for a, c in zip(truth, cycles, strict=True))
    fitted = [fit_lines(clean + noise(seed, variance), cycles) for seed in range(400)]
    errors = np.array([(one.amplitudes - truth).view(np.float64) for one in fitted])
    stated = np.mean([one.standard_errors for one in fitted], axis=0)
    assert np.allclose(stated, amplitude_bound(variance, N), rtol=0.02)
    assert np.allclose(errors.std(axis=0), np.repeat(stated, 2), rtol=0.15)
    covered = np.abs(errors) < 1.96 * np.repeat(stated, 2)
    assert covered.mean() == pytest.approx(0.95, abs=0.02)
    assert np.mean([one.noise_variance for one in fitted]) == pytest.approx(variance, rel=0.01)


def test_neighbours_share_what_is_known_of_them() -> None:
    """Two lines one and a half bins apart: the stated error is the root of the inverse Gram matrix's diagonal."""
    cycles = (0.1, 0.1 + 1.5 / N)
    overlap = abs(np.vdot(line(1.0, cycles[0]), line(1.0, cycles[1]))) / N
    fitted = fit_lines(line(1.0, cycles[0]) + noise(1, 0.02), cycles)
    assert fitted.standard_errors[0] == pytest.approx(
        math.sqrt(fitted.noise_variance / (2 * N * (1 - overlap**2))), rel=1e-6
    )


def test_a_frequency_is_found_at_its_bound() -> None:
    amplitude, variance, errors = 0.3, 0.02, []
    for seed in range(300):
        cycles = 0.2 + 0.1 * stream(seed, "frequency").random()
        samples = line(amplitude * np.exp(2j * np.pi * seed / 7), cycles) + noise(seed, variance)
        rough = strongest(samples, variance, 0.25, 0.1)
        assert rough is not None and abs(rough - cycles) < 0.6 / N
        errors.append(refine(samples, rough) - cycles)
    ratio = np.std(errors) / frequency_bound(variance, amplitude, N)
    assert 0.9 < ratio < 1.1


def test_lines_that_disturb_each_other_are_separated() -> None:
    cycles = (0.1, 0.1 + 16.3 / N, 0.1 - 17.1 / N)
    clean = sum(line(a, c) for a, c in zip((0.3, 0.1j, -0.2), cycles, strict=True)) + 0.05
    errors = []
    for seed in range(100):
        start = [c + 0.2 / N for c in cycles]
        fitted = separate(clean + noise(seed, 1e-4), start, fixed=[0.0])
        assert np.allclose(fitted.cycles[:3], cycles, atol=0.02 / N) and fitted.cycles[3] == 0.0
        errors.append(fitted.amplitudes - np.array([0.3, 0.1j, -0.2, 0.05]))
    magnitudes = np.array(errors)[:, 0].real
    assert magnitudes.std() == pytest.approx(amplitude_bound(1e-4, N), rel=0.2)
    assert abs(magnitudes.mean()) < 0.4 * magnitudes.std()


def test_noise_is_no_line() -> None:
    assert sum(strongest(noise(seed, 0.5), 0.5, 0.0, 0.5) is not None for seed in range(200)) == 0
