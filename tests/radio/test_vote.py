from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from radio.errors import InputError
from radio.medium import Interferer, Medium
from radio.streams import stream
from radio.surroundings import Surroundings, from_profile, from_settings
from radio.vote import VoteAir, confidence, decide, detector_reach, posterior


def bench(place: Surroundings, window: int = 512) -> tuple[Medium, VoteAir]:
    medium = place.medium()
    return medium, VoteAir(place.bank(medium), place.seed, window=window, offset_max_hz=place.offset_max_hz)


def faded(devices: int, sample_snr_db: float = 20.0, fading: str = "rayleigh", **settings) -> Surroundings:
    place = from_settings(devices, 4, window=64, fading=fading, **settings)
    return replace(place, noise_variance=10 ** (-sample_snr_db / 10))


def test_one_device_is_heard() -> None:
    _, air = bench(faded(1, fading="static"))
    got = air.aggregate(0, np.array([[0.3, -5.0, 0.0, -1e-9]]), air.mode.plan(air.sound(0), 1.0, truncation=0.1))
    assert got.total.tolist() == [1.0, -1.0, 1.0, -1.0] and (got.variance < 1e-3).all()
    assert got.transmit_power_dbfs.tolist() == [0.0]


def test_wrong_votes_over_rayleigh_fading_are_as_frequent_as_theory_says() -> None:
    """E+ ~ Exp(n+ + v), E- ~ Exp(n- + v): the minority wins with probability (n- + v)/(n+ + n- + 2 v)."""
    _, air = bench(faded(5))
    wrong = 0
    rounds = 1500
    for t in range(rounds):
        votes = np.array([[1.0], [1.0], [1.0], [1.0], [-1.0]])
        got = air.aggregate(t, votes, air.mode.plan(air.sound(t), 1.0, truncation=0.1))
        assert not got.erased and abs(got.total[0]) == 5.0
        wrong += got.total[0] < 0
    expected = 1 / 5
    assert abs(wrong / rounds - expected) < 4 * np.sqrt(expected * (1 - expected) / rounds)


def test_confidence_is_bayes_rule() -> None:
    """A second implementation, in plain loops."""
    plus, minus, noise, n = 2.6, 0.7, 0.1, 4
    g = (plus + minus - 2 * noise) / n
    weights = [
        comb(n, m)
        * np.exp(-plus / (m * g + noise) - minus / ((n - m) * g + noise))
        / (m * g + noise)
        / ((n - m) * g + noise)
        for m in range(n + 1)
    ]
    expected = (weights[3] + weights[4] + weights[2] / 2) / sum(weights)
    got = confidence(np.array([plus, minus]), np.array([minus, plus]), noise, n)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert confidence(np.array([0.1]), np.array([0.05]), 0.1, 4)[0] == pytest.approx(0.5)  # nothing but noise


def test_confidence_is_calibrated_over_rayleigh_fading() -> None:
    """Among votes decided with confidence about q, a share of q is right."""
    draws = stream(3, "calibration")
    n, rounds = 5, 60_000
    m = draws.binomial(n, 0.5, rounds)
    plus = (m + 0.01) * draws.standard_exponential(rounds)
    minus = (n - m + 0.01) * draws.standard_exponential(rounds)
    total, variance, _ = decide(plus, minus, 0.01, n)
    q = confidence(plus, minus, 0.01, n)
    right = np.sign(2 * m - n) == np.sign(total)
    # g is not known but taken from the two energies, which costs some calibration.
    for low, high in ((0.5, 0.6), (0.6, 0.75), (0.75, 0.9), (0.9, 1.0)):
        chosen = (q >= low) & (q < high)
        assert abs(right[chosen].mean() - q[chosen].mean()) < 0.08
    np.testing.assert_allclose(variance, 4 * n**2 * (1 - q))
    assert variance.mean() == pytest.approx(((total - n * np.sign(2 * m - n)) ** 2).mean(), rel=0.1)


def test_variance_is_the_mean_square_error_ties_included() -> None:
    """Truth is `Mode.outcome`: +-n, and 0 for a tie."""
    plus, minus = np.array([2.6]), np.array([0.7])
    weights = posterior(plus, minus, 0.1, 4)[0]
    total, variance, _ = decide(plus, minus, 0.1, 4)
    expected = sum(w * (total[0] - 4 * np.sign(2 * m - 4)) ** 2 for m, w in enumerate(weights))
    assert weights.sum() == pytest.approx(1.0) and variance[0] == pytest.approx(expected)


@pytest.mark.parametrize("adc_bits", [12, None])
def test_silence_is_no_vote(adc_bits) -> None:
    medium, air = bench(faded(3, fading="static", adc_bits=adc_bits))
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    medium.gains = np.zeros(3)
    got = air.aggregate(0, np.ones((3, 2)), plan)
    assert got.erased and "no signal" in got.reason and np.isnan(got.total).all()


@pytest.mark.parametrize("away", [0, 1])
def test_a_carrier_that_the_idle_slot_shows_erases(away) -> None:
    medium, air = bench(faded(3, sample_snr_db=70.0, fading="static", offset_hz=100.0 * away))
    medium.interferers.append(Interferer(0.1, (air._bin(1.0) + away) / 512 * air._bank.rate_sps))
    assert not air.sound(0).quality.any()
    everybody = air.mode.plan(replace(air.sound(1), quality=np.ones(3, dtype=bool)), 1.0, truncation=0.1)
    got = air.aggregate(1, -np.ones((3, 1)), everybody)
    assert got.erased and "a carrier" in got.reason and "idle slot" in got.reason


def test_free_running_radios_are_counted_by_energy() -> None:
    """Tones that offsets keep apart add in energy: a clear majority of equal devices always wins."""
    place = from_profile("pluto-bench", 5, 3)
    _, air = bench(place, window=4096)
    for t in range(4):
        votes = np.where(np.arange(5)[:, None] < 4, 1.0, -1.0) * (-1) ** t
        got = air.aggregate(t, votes, air.mode.plan(air.sound(t), 1.0, truncation=0.1))
        assert got.total[0] == 5.0 * (-1) ** t


def test_interference_and_saturation_erase() -> None:
    medium, air = bench(faded(3, fading="static"))
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    medium.interferers.append(Interferer(0.8, -2.1e5))
    got = air.aggregate(0, np.ones((3, 1)), plan)
    assert got.erased and "interference" in got.reason and np.isnan(got.total).all()
    medium.interferers.clear()
    air._bank._receiver.receive_gain_db += 30.0
    got = air.aggregate(0, np.ones((3, 1)), plan)
    assert got.erased and "saturated" in got.reason and medium.on_air == ()


def test_wrong_use_is_explained() -> None:
    _, air = bench(faded(2))
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    with pytest.raises(InputError, match="round 5"):
        air.aggregate(5, np.ones((2, 1)), plan)
    assert air.aggregate(0, np.ones((2, 1)), replace(plan, active=np.zeros(2, dtype=bool))).erased
    with pytest.raises(InputError, match="window is 16"):
        VoteAir(air._bank, 1, window=16)
    with pytest.raises(InputError, match="common clock"):
        detector_reach(4096, 1e6, 1e5)
