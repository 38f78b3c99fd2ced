"""The amplitude curve against levels made from known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.linearity import amplify, attenuator_error, curve_bound, fit_curve
from radio.frontend import Amplifier
from radio.streams import stream

AMPLITUDES = 10.0 ** (np.array([-21.0, -15.0, -12.0, -9.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0]) / 20.0)
GAIN, ERROR = 0.2, 2e-5


def curvature_of(compression_dbfs: float) -> float:
    return Amplifier(compression_dbfs).saturation ** -4


def levels(seed: int, curvature: float, error: float = ERROR) -> np.ndarray:
    return amplify(GAIN, curvature, AMPLITUDES) + error * stream(seed, "levels").standard_normal(AMPLITUDES.size)


def test_the_curve_is_the_amplifier_of_the_simulators() -> None:
    samples = AMPLITUDES.astype(np.complex128)
    for point in (-8.0, -1.0):
        assert np.allclose(
            amplify(GAIN, curvature_of(point), AMPLITUDES), GAIN * np.abs(Amplifier(point).amplify(samples, 1.0))
        )


def test_the_bound_is_the_inverse_of_the_fisher_information() -> None:
    curvature, errors = curvature_of(-3.0), ERROR * (1.0 + AMPLITUDES)
    columns = []
    for step in (np.array([1e-6, 0.0]), np.array([0.0, 1e-6])):
        up, down = (amplify(GAIN + s * step[0], curvature + s * step[1], AMPLITUDES) for s in (1, -1))
        columns.append((up - down) / (2.0 * step.sum()) / errors)
    jacobian = np.stack(columns, axis=1)
    assert np.allclose(
        curve_bound(GAIN, curvature, AMPLITUDES, errors), np.linalg.inv(jacobian.T @ jacobian), rtol=1e-5
    )


@pytest.mark.parametrize("point", [-10.0, -3.0, 0.0, 2.0])
def test_compression_points_are_found_at_their_bound_and_covered(point: float) -> None:
    curvature = curvature_of(point)
    fits = [fit_curve(AMPLITUDES, levels(seed, curvature), np.full(AMPLITUDES.size, ERROR)) for seed in range(200)]
    found = [fit.compression_dbfs for fit in fits]
    assert all(one is not None for one in found)
    errors = np.array([one.value - point for one in found if one is not None])
    bound = curve_bound(GAIN, curvature, AMPLITUDES, np.full(AMPLITUDES.size, ERROR))
    stated = 5.0 / math.log(10.0) * math.sqrt(bound[1, 1]) / curvature
    assert errors.std() == pytest.approx(stated, rel=0.2)
    assert np.mean([one.covers(point) for one in found if one is not None]) > 0.9
    assert np.mean([fit.gain_db.covers(20 * math.log10(GAIN)) for fit in fits]) > 0.9
    assert sum(fit.misfit > 1.0 for fit in fits) == 0


def test_a_straight_line_has_a_bound_and_the_truth_is_above_it() -> None:
    bounds = []
    for point in (math.inf, 20.0):
        curvature = 0.0 if point == math.inf else curvature_of(point)
        for seed in range(100):
            fit = fit_curve(AMPLITUDES, levels(seed, curvature), np.full(AMPLITUDES.size, ERROR))
            assert fit.compression_dbfs is None
            bounds.append(fit.compression_bound_dbfs < point)
            assert fit.loss_db().interval()[0] < 5e-3
    assert np.mean(bounds) > 0.93


def test_loss_and_linear_amplitude_are_the_curve_s() -> None:
    fit = fit_curve(AMPLITUDES, levels(1, curvature_of(-3.0), 1e-9), np.full(AMPLITUDES.size, 1e-9))
    top = -20 * math.log10(abs(Amplifier(-3.0).amplify(np.ones(1, dtype=complex), 1.0)[0]))
    assert fit.loss_db().value == pytest.approx(top, abs=1e-5)
    assert fit.loss_db(fit.linear_amplitude(0.1)).value == pytest.approx(0.1, abs=1e-6)
    assert fit.compression_dbfs is not None and fit.compression_dbfs.value == pytest.approx(-3.0, abs=1e-5)


@pytest.mark.parametrize("point", [-2.0, 20.0])
def test_attenuator_errors_are_found_through_the_compression_and_covered(point: float) -> None:
    curvature, setting, truth = curvature_of(point), -1.0, 0.17
    drive = 10.0 ** ((setting + truth) / 20.0)
    received = float(amplify(GAIN, curvature, np.array([drive]))[0])
    found = []
    for seed in range(300):
        curve = fit_curve(AMPLITUDES, levels(seed, curvature), np.full(AMPLITUDES.size, ERROR))
        heard = received + ERROR * float(stream(seed, "setting").standard_normal())
        error = attenuator_error(curve, 1.0, setting, heard, ERROR)
        assert error is not None
        found.append((error.value - truth, error.standard_error, error.covers(truth)))
    values, stated, covered = (np.array(column) for column in zip(*found, strict=True))
    assert values.std() == pytest.approx(stated.mean(), rel=0.15) and covered.mean() > 0.92


def test_an_image_on_its_way_through_the_amplifier_is_allowed_for() -> None:
    """Tone and image through the simulators' amplifier, sample by sample."""
    tone = np.exp(2j * np.pi * 9 * np.arange(256) / 256)
    through = Amplifier(-4.0)
    sent = [a * (tone + 0.05 * tone.conj()) for a in AMPLITUDES]
    received = np.array([GAIN * abs(np.vdot(tone, through.amplify(one, 1.0))) / 256 for one in sent])
    errors = np.full(AMPLITUDES.size, 1e-7)
    allowed, ignored = (fit_curve(AMPLITUDES, received, errors, ripple).compression_dbfs for ripple in (0.05**2, 0.0))
    assert allowed is not None and ignored is not None
    assert abs(ignored.value + 4.0) > 0.005 and abs(allowed.value + 4.0) < 0.0005


def test_what_says_nothing_of_the_attenuator_is_not_used() -> None:
    curve = fit_curve(AMPLITUDES, levels(1, curvature_of(-12.0)), np.full(AMPLITUDES.size, ERROR))
    assert attenuator_error(curve, 1.0, -1.0, float(curve.received(np.array([20.0]))[0]), ERROR) is None
    assert attenuator_error(curve, 1.0, -80.0, ERROR, ERROR) is None


def test_levels_off_the_curve_widen_what_is_stated() -> None:
    moved = levels(1, curvature_of(0.0))
    moved[3] *= 1.02
    fit = fit_curve(AMPLITUDES, moved, np.full(AMPLITUDES.size, ERROR))
    assert fit.misfit > 10.0
