from __future__ import annotations

import math

import numpy as np
import pytest

from radio.errors import InputError
from radio.loopback_air import loopback_parts
from radio.medium import Interferer
from radio.pilot import PilotSettings, estimate_gain
from radio.streams import stream

RATE = 1e6


def pilots(
    draws: np.random.Generator, starts: list[int], window: int, gain: complex, hz: float, sigma2: float
) -> np.ndarray:
    t = np.array(starts)[:, None] + np.arange(window)
    noise = draws.standard_normal((*t.shape, 2)) @ np.array([1.0, 1j]) * math.sqrt(sigma2 / 2)
    return gain * np.exp(2j * np.pi * hz * t / RATE) * np.exp(2j * np.pi * 0.0157 * np.arange(window)) + noise


def tone(window: int) -> np.ndarray:
    return np.exp(2j * np.pi * 0.0157 * np.arange(window))


def crb_omega(starts: list[int], window: int, gain: complex, sigma2: float) -> float:
    """Cramer-Rao bound of omega for a tone of unknown amplitude and phase: sigma^2 / (2 |h|^2 sum (t - mean)^2)."""
    t = (np.array(starts)[:, None] + np.arange(window)).ravel()
    return sigma2 / (2 * abs(gain) ** 2 * ((t - t.mean()) ** 2).sum())


def test_gain_variance_is_sigma2_over_n_the_bound_with_known_frequency() -> None:
    draws, h, sigma2 = stream(1, "pilot gain"), 0.3 - 0.4j, 0.5
    found = [
        estimate_gain(pilots(draws, [0], 256, h, 0.0, sigma2), [0], tone(256), rate_sps=RATE, noise_variance=sigma2)
        for _ in range(1500)
    ]
    error = np.array([f.gain for f in found]) - h
    assert found[0].variance == pytest.approx(sigma2 / 256)
    assert (np.abs(error) ** 2).mean() == pytest.approx(sigma2 / 256, rel=0.1)
    assert abs(error.mean()) < 4 * math.sqrt(sigma2 / 256 / 1500)
    assert np.mean([f.residual_power for f in found]) == pytest.approx(sigma2, rel=0.02)


@pytest.mark.parametrize("starts", [[0], [0, 6000]])
def test_offset_estimate_attains_the_bound(starts: list[int]) -> None:
    window, h, sigma2, hz = 1023, 0.5j, 0.25 * 10 ** (-20 / 10), 21.7  # 20 dB in a sample
    draws = stream(2, "pilot offset", len(starts))
    found = [
        estimate_gain(
            pilots(draws, starts, window, h, hz, sigma2),
            starts,
            tone(window),
            rate_sps=RATE,
            noise_variance=sigma2,
            offset_prior_hz=100.0,
        )
        for _ in range(600)
    ]
    error = np.array([f.offset_hz for f in found]) - hz
    bound = crb_omega(starts, window, h, sigma2) * (RATE / (2 * np.pi)) ** 2
    if len(starts) == 1:  # the familiar closed form (Rife & Boorstyn), for an independent check of the bound
        closed = 6 * sigma2 / (abs(h) ** 2 * window * (window**2 - 1)) * (RATE / (2 * np.pi)) ** 2
        assert bound == pytest.approx(closed, rel=1e-9)
    assert abs(10 * np.log10((error**2).mean() / bound)) < 1.0
    assert found[0].offset_variance == pytest.approx(bound, rel=0.1)


def test_gain_is_extrapolated_to_the_reference() -> None:
    h, hz, starts, reference = 0.6 + 0.1j, -340.0, [100, 5000], 9000
    clean = pilots(stream(3, "clean"), starts, 1024, h, hz, 0.0)
    found = estimate_gain(
        clean, starts, tone(1024), rate_sps=RATE, noise_variance=1e-9, offset_prior_hz=300.0, reference=reference
    )
    assert found.offset_hz == pytest.approx(hz, abs=1e-4)
    assert found.gain == pytest.approx(h * np.exp(2j * np.pi * hz * reference / RATE), abs=1e-5)


def test_prior_resolves_the_ambiguity_of_far_pilots_and_bounds_a_noisy_estimate() -> None:
    # Two short pilots 20 ms apart repeat their likelihood every 50 Hz; in hopeless noise the estimate is the prior's.
    clean = pilots(stream(4, "ambiguous"), [0, 20000], 64, 1.0, 3.0, 1e-4)
    settings = {"rate_sps": RATE, "offset_prior_hz": 5.0}
    assert estimate_gain(clean, [0, 20000], tone(64), noise_variance=1e-4, **settings).offset_hz == pytest.approx(
        3, abs=0.5
    )
    noise = pilots(stream(4, "hopeless"), [0, 20000], 64, 1e-6, 3.0, 1.0)
    found = estimate_gain(noise, [0, 20000], tone(64), noise_variance=1.0, **settings)
    assert abs(found.offset_hz) < 20.0 and found.offset_variance <= 25.0 + 1e-9


@pytest.mark.parametrize("offset_hz", [0.0, 20.0])
def test_sounded_gains_err_as_much_as_they_say(offset_hz: float) -> None:
    medium, air = loopback_parts(
        6, 11, fading="static", snr_db=30.0, offset_hz=offset_hz, timing_samples=5.0, window=512
    )
    receive = 10 ** (air._receiver.receive_gain_db / 20)
    ratios, offsets = [], []
    for t in range(60):
        state = air.sound(t)
        turned = np.exp(
            2j * np.pi * (medium.offsets_hz * medium.clock / 1e6 - air.tone.cycles_per_sample * medium.lags)
        )
        truth = medium.gains * receive * turned
        ratios.append(np.abs(state.gains - truth) ** 2 / state.gain_variance)
        offsets.append(state.offset_hz - medium.offsets_hz)
        assert state.noise_variance == pytest.approx(medium.noise_variance * receive**2, rel=0.5)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.25)
    if offset_hz:
        assert np.std(offsets) < 0.8 * offset_hz  # better than the prior
    else:
        assert not np.any(offsets)


def test_quality_flags_a_weak_a_saturated_and_a_disturbed_pilot() -> None:
    _, air = loopback_parts(3, 1, fading="static", path_loss_db=[0.0, 0.0, 40.0], snr_db=30.0, window=512)
    assert air.sound(0).quality.tolist() == [True, True, False]
    _, air = loopback_parts(2, 1, fading="static", snr_db=60.0, window=512)
    air._receiver.receive_gain_db = 12.0
    assert not air.sound(0).quality.any()
    medium, air = loopback_parts(2, 1, fading="static", snr_db=60.0, window=512)
    medium.interferers.append(Interferer(0.5, 2e5))
    assert not air.sound(0).quality.any()


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="pilot_window"):
        PilotSettings(window=10)
    with pytest.raises(InputError, match="repeat"):
        PilotSettings(repeats=0)
    with pytest.raises(InputError, match="offset_prior_hz"):
        PilotSettings(offset_prior_hz=-1.0)
    clean = np.ones((2, 4096), dtype=np.complex128)
    with pytest.raises(InputError, match="too wide"):
        estimate_gain(clean, [0, 10**6], clean[0], rate_sps=RATE, noise_variance=1.0, offset_prior_hz=5000.0)
