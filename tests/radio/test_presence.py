from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gamma

from radio.presence import CHANGES, Presence
from radio.streams import stream

WINDOW = 4096


def energies(
    draws: np.random.Generator, slots: int, snr_db: float | None, voters: int = 5, bins: int = 1
) -> np.ndarray:
    """(slots,) of both detectors over the noise of a bin; SNR per received scalar, one real dimension; None: silence."""
    power = 0.0 if snr_db is None else 10 ** (snr_db / 10) / 2
    up = draws.binomial(voters, 0.5, slots)
    signal = power * (up * draws.standard_exponential(slots) + (voters - up) * draws.standard_exponential(slots))
    floor = 1 + draws.standard_normal(slots) / np.sqrt(np.log(2) ** 2 * WINDOW)  # as the idle slots tell it
    return draws.noncentral_chisquare(4 * bins, 2 * signal) / 2 / floor


@pytest.mark.parametrize(("snr_db", "lost"), [(0.0, 0.03), (10.0, 0.006), (20.0, 0.004), (30.0, 0.002)])
def test_good_votes_are_lost_rarely(snr_db: float, lost: float) -> None:
    """A threshold on single slots would lose all of them at 0 dB and a third at 10 dB."""
    draws, missed = stream(1, "presence", int(snr_db)), 0
    for _ in range(3):
        presence = Presence(1, WINDOW)
        missed += sum(not presence.hear(e, 1.0, 5) for e in energies(draws, 500, snr_db))
    assert missed / 1500 < lost


@pytest.mark.parametrize("bins", [1, 101])
def test_silence_is_no_vote_however_long_it_lasts(bins: int) -> None:
    draws = stream(2, "silence", bins)
    for _ in range(5):
        presence = Presence(bins, WINDOW)
        assert not any(presence.hear(e, 1.0, 5) for e in energies(draws, 300, None, bins=bins))
        assert presence.silence > 0.5


@pytest.mark.parametrize(("snr_db", "slots"), [(0.0, 60), (10.0, 8), (20.0, 3), (40.0, 1)])
def test_devices_that_fall_silent_are_noticed_and_come_back(snr_db: float, slots: int) -> None:
    draws, presence = stream(3, "falls silent", int(snr_db)), Presence(1, WINDOW)
    for e in energies(draws, 300, snr_db):
        presence.hear(e, 1.0, 5)
    assert presence.silence < 1e-2
    after = [presence.hear(e, 1.0, 5) for e in energies(draws, slots + 50, None)]
    assert not any(after[slots:])
    back = [presence.hear(e, 1.0, 5) for e in energies(draws, 80, snr_db)]
    assert all(back[70:])


def test_one_slot_is_bayes_rule() -> None:
    """A second implementation, with one level of signal in the grid."""
    presence, energy, n = Presence(1, WINDOW), 7.0, 4
    presence._signals, presence._odds = np.array([0.0, 30.0]), np.array([0.5, 0.5])
    floor = 4.0 / (np.log(2) ** 2 * WINDOW)
    spread = np.array([2.0 + floor, 2.0 + floor + 60.0 + 900.0 * (1 + 1 / n) / 2])
    mean = np.array([2.0, 32.0])
    like = gamma.pdf(energy, mean**2 / spread, scale=spread / mean)
    presence.hear(energy, 1.0, n)
    assert presence.silence == pytest.approx(like[0] / like.sum(), rel=2 * CHANGES * 64 + 1e-3)


@pytest.mark.parametrize("noise", [0.0, 1e-12, 1.0])
def test_nothing_at_all_is_silence_and_energy_without_noise_is_not(noise: float) -> None:
    presence = Presence(1, WINDOW)
    assert not presence.hear(0.0, noise, 3) and np.isfinite(presence.silence)
    assert Presence(1, WINDOW).hear(1e3, noise, 3)
