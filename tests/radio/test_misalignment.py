from __future__ import annotations

import numpy as np
import pytest

from radio.misalignment import csi_variance, mean_projection, misalignment
from radio.streams import stream
from radio.surroundings import from_settings
from radio.symbol_coherent import CoherentStatistics, SymbolCoherentAir

EVERYBODY = np.ones(3, dtype=bool)


def test_uncorrected_and_without_noise_it_is_the_closed_form() -> None:
    phases = np.array([0.01, 0.1, 0.3])
    expected = [misalignment(0.0, s) for s in np.sqrt(phases)]
    np.testing.assert_allclose(csi_variance(np.ones(3, dtype=complex), 0.0, phases), expected)


def test_corrected_by_its_own_loss_it_is_half_the_fourth_power() -> None:
    """cosh(s^2) - 1, by hand."""
    phases = np.full(3, 0.2)
    kept = float(mean_projection(phases, EVERYBODY))
    assert kept == pytest.approx(np.exp(-0.1))
    np.testing.assert_allclose(csi_variance(np.ones(3, dtype=complex), 0.0, phases, kept), np.cosh(0.2) - 1.0)


def test_mean_square_error_against_monte_carlo() -> None:
    """Unequal phases and noisy pilots, one division for all."""
    draws, n = stream(1, "misaligned"), 400_000
    phases, noise, gain = np.array([0.05, 0.2, 0.4]), 0.02, 0.7 - 0.4j
    kept = float(mean_projection(phases, EVERYBODY))
    angle = np.sqrt(phases) * draws.standard_normal((n, 3))
    error = draws.standard_normal((n, 3, 2)) @ np.array([1.0, 1j]) * np.sqrt(noise / 2.0) / abs(gain)
    arrived = ((1.0 + error) * np.exp(1j * angle)).real / kept
    np.testing.assert_allclose(
        ((arrived - 1.0) ** 2).mean(axis=0), csi_variance(np.full(3, gain), noise, phases, kept), rtol=0.02
    )
    assert arrived.mean() == pytest.approx(1.0, abs=2e-3)


def test_nobody_active_divides_by_one() -> None:
    assert mean_projection(np.ones((2, 3)), np.zeros((2, 3), dtype=bool)).tolist() == [1.0, 1.0]


OFFSET_HZ, SNR_DB = 45.0, 38.0  # one short pilot: phases known to about 0.3 rad in the air slot


def test_rounds_are_right_on_average_where_phases_are_not_known_well() -> None:
    statistics = CoherentStatistics(1024, 256, 1, 0.1, 3.0, 0, OFFSET_HZ / 1e6)
    place = from_settings(4, 3, window=1024, fading="static", snr_db=SNR_DB)
    rounds = 20_000
    gains = np.ones((rounds, 4), dtype=complex)
    loss = float(statistics.phase_variance(gains[:1], place.noise_variance, 0).mean()) / 2.0
    assert loss > 0.02  # or there would be nothing to correct
    total, active = statistics.rounds(gains, np.full((rounds, 4), 0.8), place.noise_variance, stream(2, "bias"))
    heard = active.all(axis=1)
    mean, error = total[heard].mean() / 3.2, total[heard].std() / 3.2 / np.sqrt(heard.sum())
    assert abs(mean - 1.0) < 0.2 * loss + 4.0 * error


def test_the_airs_variance_is_that_of_its_errors() -> None:
    place = from_settings(4, 3, window=1024, fading="static", snr_db=SNR_DB)
    air = SymbolCoherentAir(place.symbols(), window=1024, pilot_window=256, min_pilot_snr_db=3.0, offset_hz=OFFSET_HZ)
    squares, stated = [], []
    for t in range(1500):
        payloads = stream(4, "payloads", t).uniform(-1, 1, (4, 2))
        got = air.aggregate(t, payloads, air.plan(air.sound(t), 1.0))
        squares.append((got.total - payloads.sum(axis=0)) ** 2)
        stated.append(got.variance)
    np.testing.assert_allclose(np.mean(squares, axis=0), np.mean(stated, axis=0), rtol=0.15)
