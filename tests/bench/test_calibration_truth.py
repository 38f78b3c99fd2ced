"""Bounds of the calibration benchmark against numeric Fisher information, and what it judges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.calibration_coverage import loopback, summarised
from bench.calibration_truth import DEVICES, hidden_surroundings, loopback_truth
from calibration.loopback_rig import LoopbackRig

RATE = 1e6


def test_bounds_of_offset_and_drift_are_the_inverse_of_the_fisher_information() -> None:
    """Of a, phi, f and d in a exp(j (phi + 2 pi (f t + d t^2 / 2))), by differences, in white noise alone."""
    place = hidden_surroundings(3)
    rig = LoopbackRig(replace(place, impairments=replace(place.impairments, phase_noise_deg=0.0)))
    truth, n = loopback_truth(rig), 4096
    times = (np.arange(n) - (n - 1) / 2.0) / RATE

    def model(x: np.ndarray) -> np.ndarray:
        return x[0] * np.exp(1j * (x[1] + 2.0 * np.pi * (x[2] * times + 0.5 * x[3] * times**2)))

    at, steps = np.array([truth.level(0), 0.3, 20.0, 100.0]), np.array([1e-5, 1e-4, 1e-2, 1.0])
    columns = []
    for k in range(4):
        step = np.where(np.arange(4) == k, steps, 0.0)
        columns.append((model(at + step) - model(at - step)) / (2.0 * steps[k]))
    jacobian = np.stack(columns, axis=1)
    scale = np.array([1.0, 1.0, 1e3, 1e6])  # keeps the inverse well conditioned
    information = 2.0 / truth.noise_variance * (jacobian.conj().T @ jacobian).real * np.outer(scale, scale)
    bound = np.sqrt(np.linalg.inv(information).diagonal()) * scale
    assert truth.offset_bound_hz(0, n) == pytest.approx(bound[2], rel=1e-3)
    assert truth.drift_bound_hz_per_s(0, n) == pytest.approx(bound[3], rel=1e-3)
    assert truth.line_bound(n) == pytest.approx(bound[0], rel=1e-3)


def test_hidden_stations_differ_and_are_drawn_anew_alike() -> None:
    one, two, again = (hidden_surroundings(draw) for draw in (1, 2, 1))
    assert one.impairments == again.impairments and one.noise_variance == again.noise_variance
    assert one.impairments != two.impairments


def test_every_quantity_of_a_station_is_judged() -> None:
    judgements = loopback(5)
    counts = {quantity: figures[2] for quantity, figures in summarised([judgements, judgements]).items()}
    singles = {"noise floor", "DC offset", "receiver's image"}
    doubles = {"carrier offset", "carrier drift", "compression", "transmitter's image", "LO leakage", "channel gain"}
    assert counts.keys() == singles | doubles | {"attenuator error"}
    assert all(counts[name] == 2 for name in singles) and all(counts[name] == 2 * DEVICES for name in doubles)
    ratios = [ratio for _, _, ratio in judgements if math.isfinite(ratio)]
    assert min(ratios) > 0.8 and max(ratios) < 3.0
    assert np.mean([covered for _, covered, _ in judgements]) > 0.8
