"""Allan deviation, against its direct definition and against noises of known law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.allan import allan, allan_variance, degrees_of_freedom, noise_power


def directly(y: np.ndarray, m: int) -> float:
    """Term by term: half the mean square of differences of neighbouring averages over m."""
    averages = [y[j : j + m].mean() for j in range(y.size - m + 1)]
    terms = [(averages[j + m] - averages[j]) ** 2 for j in range(y.size - 2 * m + 1)]
    return sum(terms) / (2 * len(terms))


@given(st.integers(1, 12), st.integers(0, 1000))
def test_the_direct_definition(m: int, seed: int) -> None:
    y = np.random.default_rng(seed).standard_normal(40)
    assert allan_variance(y, m) == pytest.approx(directly(y, m), rel=1e-9)


def test_the_known_example() -> None:
    """The nine frequencies of NBS Monograph 140 (also in NIST SP 1065): 91.22945 at m = 1, 85.95287 overlapping at 2."""
    y = np.array([892.0, 809.0, 823.0, 798.0, 671.0, 644.0, 883.0, 903.0, 677.0])
    assert np.sqrt(allan_variance(y, 1)) == pytest.approx(91.22945, abs=1e-4)
    assert np.sqrt(allan_variance(y, 2)) == pytest.approx(85.95287, abs=1e-4)


def test_a_straight_drift_is_drift_times_tau_over_root_two() -> None:
    found = allan(3e-9 * np.arange(64.0), 1.0)
    assert np.allclose(found.deviation, 3e-9 * found.tau_s / np.sqrt(2))


@pytest.mark.parametrize("law", ["white", "walk"])
def test_intervals_cover(law: str) -> None:
    """White frequency: sigma^2 = v / m. Its random walk of steps v: (2 m^2 + 1) v / (6 m). 95 % of 300 are 285 +- 3.8; the
    rules for the degrees of freedom are approximate."""
    hits = np.zeros(4)
    for seed in range(300):
        y = np.random.default_rng(seed).standard_normal(128)
        found = allan(np.cumsum(y) if law == "walk" else y, 1.0)
        m = found.tau_s[:4]
        truth = np.sqrt((2 * m**2 + 1) / (6 * m) if law == "walk" else 1 / m)
        hits += (found.low[:4] <= truth) & (truth <= found.high[:4])
    assert (hits >= 270).all(), hits


@pytest.mark.parametrize(("times", "alpha"), [(-1, 2), (0, 0), (1, -2)])
def test_noises_are_told_apart(times: int, alpha: int) -> None:
    """White noise differentiated is white phase noise, summed it is a random walk of frequency."""
    right = 0
    for seed in range(50):
        white = np.random.default_rng(seed).standard_normal(400)
        y = np.diff(white) if times < 0 else np.cumsum(white) if times else white
        right += noise_power(y, 1) == alpha
    assert right >= 45


def test_degrees_of_freedom_of_white_frequency_noise() -> None:
    """By the spread of the estimates: edf = 2 mean^2 / variance."""
    for m in (1, 4, 16):
        found = np.array([allan_variance(np.random.default_rng(s).standard_normal(128), m) for s in range(1500)])
        assert degrees_of_freedom(0, 129, m) == pytest.approx(2 * found.mean() ** 2 / found.var(), rel=0.2)
