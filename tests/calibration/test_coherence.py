"""Coherence times of simulated channels with known ones (Clarke and Jakes, `radio.fading`)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.coherence import changes, correlation, fit_coherence
from radio.fading import Fading, FadingKind
from radio.streams import stream

GROUPS = np.concatenate([[0.0], np.cumsum(np.tile([0.2, 0.5, 1.2, 3.1], 4))])
TIMES = (GROUPS[:, None] + np.array([0.0, 0.01, 0.03, 0.07])).reshape(-1)
HALF = 1.5211 / (2.0 * math.pi)  # J_0(1.5211) = 1/2


def watched(seed: int, kind: FadingKind, doppler_hz: float, error: float = 1e-3) -> np.ndarray:
    fading = Fading(1, seed, kind, 6.0, doppler_hz=doppler_hz, round_s=1.0)
    return np.abs(fading.track(0, TIMES)[0]) + error * stream(seed, "pilots").standard_normal(TIMES.size)


def test_correlations_are_one_half_at_the_coherence_time() -> None:
    for kernel in ("jakes", "exponential"):
        assert np.allclose(correlation(kernel, np.array([0.0, 0.7]), 0.7), [1.0, 0.5], atol=1e-4)


@pytest.mark.parametrize(("kind", "doppler_hz"), [("rayleigh", 0.5), ("rayleigh", 5.0), ("rician", 1.0)])
def test_coherence_times_are_found_and_covered(kind: FadingKind, doppler_hz: float) -> None:
    truth, covered, ratios = HALF / doppler_hz, [], []
    for seed in range(24):
        found = fit_coherence(TIMES, watched(seed, kind, doppler_hz), np.full(TIMES.size, 1e-3), seed)
        assert found.moves and found.coherence is not None
        covered.append(found.coherence.covers(truth))
        ratios.append(math.log(found.coherence.value / truth))
    assert np.mean(covered) >= 0.8
    assert abs(np.median(ratios)) < 0.4 and np.std(ratios) < 0.75


def test_rician_factors_are_found() -> None:
    factors = [
        fit_coherence(TIMES, watched(seed, "rician", 2.0), np.full(TIMES.size, 1e-3), seed).rician_k
        for seed in range(12)
    ]
    values = np.array([one.value for one in factors if one is not None])
    assert np.median(values) == pytest.approx(10**0.6, rel=0.35)


def test_a_still_channel_is_still() -> None:
    moves = 0
    for seed in range(40):
        found = fit_coherence(TIMES, watched(seed, "static", 0.0, 2e-3), np.full(TIMES.size, 2e-3), seed)
        moves += found.moves
        assert found.change < 2e-3
    assert moves == 0
    assert found.coherence is None and found.span_s == pytest.approx(TIMES[-1])


def test_changes_are_the_structure_function() -> None:
    """E (|h(t + s)| - |h(t)|)^2 of a ramp is its slope times the lag."""
    lags, change, pairs = changes(TIMES, 1.0 + 1e-3 * TIMES, np.zeros(TIMES.size), bins=10)
    assert pairs.sum() == TIMES.size * (TIMES.size - 1) / 2
    assert np.allclose(change * 1.0105, 1e-3 * lags, rtol=0.2)
