from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import expon, ks_2samp, kstest

from radio.streams import stream
from radio.surroundings import from_settings
from radio.symbol_vote import SymbolVoteAir, vote_energies
from radio.vote import VoteAir


def test_over_rayleigh_fading_energies_are_exponential() -> None:
    """E ~ Exp(n E|h|^2 + v), the two sides independent."""
    draws = stream(1, "rayleigh")
    gains = draws.standard_normal((20_000, 5, 2)).view(np.complex128)[..., 0] / np.sqrt(2)
    votes = np.array([1.0, 1.0, 1.0, -1.0, -1.0])
    energies = vote_energies(gains, np.broadcast_to(votes, gains.shape), 0.3, 1, draws)
    assert kstest(energies[:, 0], expon(scale=3.3).cdf).pvalue > 1e-3
    assert kstest(energies[:, 1], expon(scale=2.3).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(energies.T)[0, 1]) < 0.03


def test_noise_alone_is_gamma_of_the_detectors_bins() -> None:
    energies = vote_energies(np.zeros((50_000, 2)), np.ones((50_000, 2)), 0.5, 7, stream(1, "noise"))
    assert energies.mean() == pytest.approx(3.5, rel=0.01) and energies.var() == pytest.approx(7 * 0.25, rel=0.03)


def test_offsets_add_energies_and_a_common_clock_amplitudes() -> None:
    received, votes = np.array([[1.0 + 0j, 1.0]]), np.ones((1, 2))
    draws = stream(1, "none")
    assert vote_energies(received, votes, 0.0, 1, draws)[0, 0] == pytest.approx(4.0)
    apart = vote_energies(received, votes, 0.0, 1, draws, np.array([[0.0, 5.0]]))
    assert apart[0, 0] == pytest.approx(2.0)
    # |1 + e^{j 2 pi t}|^2 over half a turn, phases centred: 2 + 2 sinc(0.5).
    half = vote_energies(received, votes, 0.0, 1, draws, np.array([[-0.25, 0.25]]))
    t = np.linspace(-0.5, 0.5, 20_001)
    direct = np.trapezoid(np.abs(np.exp(-0.5j * np.pi * t) + np.exp(0.5j * np.pi * t)) ** 2, t)
    assert half[0, 0] == pytest.approx(direct, rel=1e-6)


@pytest.mark.parametrize("offset_hz", [0.0, 3000.0])
def test_decisions_are_distributed_as_those_of_samples(offset_hz: float) -> None:
    place = replace(
        from_settings(4, 6, window=64, dac_bits=None, adc_bits=None, offset_hz=offset_hz), noise_variance=2.0
    )
    bank = place.bank(place.medium())
    airs = (
        VoteAir(bank, 6, window=512, offset_max_hz=place.offset_max_hz),
        SymbolVoteAir(place.symbols(), window=512, offset_hz=offset_hz),
    )
    spread = []
    for air in airs:
        found = []
        for t in range(600):
            payloads = np.array([[0.4], [1.0], [0.2], [-1.0]])
            got = air.aggregate(t, payloads, air.mode.plan(air.sound(t), 1.0, truncation=0.1))
            assert not got.erased or "no signal" in got.reason
            found.append((got.total[0], got.variance[0]))
        spread.append(np.array(found))
    faded = [np.isnan(found[:, 0]).mean() for found in spread]
    assert max(faded) < 0.02 and abs(faded[0] - faded[1]) < 0.02
    sampled, drawn = (found[~np.isnan(found[:, 0])] for found in spread)
    wrong = [(s[:, 0] < 0).mean() for s in (sampled, drawn)]
    assert wrong[0] == pytest.approx(wrong[1], abs=4 * np.sqrt(0.25 * 0.75 * 2 / 600))
    assert ks_2samp(sampled[:, 1], drawn[:, 1]).pvalue > 1e-3


def test_silence_is_no_vote_here_either() -> None:
    place = replace(from_settings(2, 6, window=64), noise_variance=1e6)
    with SymbolVoteAir(place.symbols(), window=256) as air:
        got = air.aggregate(0, np.ones((2, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.1))
    assert got.erased and "no signal" in got.reason and np.isnan(got.total).all()


def test_nobody_votes() -> None:
    place = from_settings(2, 6, window=64)
    air = SymbolVoteAir(place.symbols(), window=256)
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.1)
    got = air.aggregate(0, np.ones((2, 1)), replace(plan, active=np.zeros(2, dtype=bool)))
    assert got.erased and np.isnan(got.total).all()
