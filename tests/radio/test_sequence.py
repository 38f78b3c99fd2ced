from __future__ import annotations

import numpy as np

from radio.sequence import random_phases


def test_unit_modulus_and_a_function_of_seed_name_and_device() -> None:
    waves = random_phases(3, 2, 4096, "payload", 7)
    np.testing.assert_allclose(np.abs(waves), 1.0, rtol=1e-14)
    assert np.array_equal(waves, random_phases(3, 5, 4096, "payload", 7)[:2])
    for other in (waves[1], random_phases(4, 1, 4096, "payload", 7)[0], random_phases(3, 1, 4096, "payload", 8)[0]):
        # Independent phases correlate as 1/sqrt(M).
        assert abs(np.vdot(waves[0], other)) / 4096 < 5 / np.sqrt(4096)


def test_white() -> None:
    """E|X_f|^2 = M in every bin, exponentially distributed: its standard deviation is its mean."""
    power = np.abs(np.fft.fft(random_phases(1, 1, 1 << 15, "white")[0])) ** 2 / (1 << 15)
    assert abs(power.mean() - 1.0) < 1e-9  # Parseval
    assert abs(power.std() - 1.0) < 0.05
