from __future__ import annotations

import numpy as np

from radio.sequence import random_phases


def test_unit_modulus_and_a_function_of_seed_and_name() -> None:
    wave = random_phases(3, 4096, "payload", 7, 0)
    np.testing.assert_allclose(np.abs(wave), 1.0, rtol=1e-14)
    assert np.array_equal(wave, random_phases(3, 4096, "payload", 7, 0))
    for other in (random_phases(4, 4096, "payload", 7, 0), random_phases(3, 4096, "payload", 7, 1)):
        # Independent phases correlate as 1/sqrt(M).
        assert abs(np.vdot(wave, other)) / 4096 < 5 / np.sqrt(4096)


def test_white() -> None:
    """E|X_f|^2 = M in every bin, exponentially distributed: its standard deviation is its mean."""
    power = np.abs(np.fft.fft(random_phases(1, 1 << 15, "white"))) ** 2 / (1 << 15)
    assert abs(power.mean() - 1.0) < 1e-9  # Parseval
    assert abs(power.std() - 1.0) < 0.05
