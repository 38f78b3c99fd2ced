"""A measured channel in place of simulated fading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radio.errors import InputError
from radio.measured import MeasuredChannel, load_channel
from radio.modes import open_air
from radio.surroundings import from_settings

TIMES = np.array([3.0, 3.5, 4.5])
GAINS = np.array([[1.0, 2.0j, -2.0], [1.0, 1.0, 1.0]])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "c.npz", times_s=TIMES, gains=GAINS)
    return tmp_path / "c.npz"


def test_gains_are_interpolated_and_played_to_and_fro() -> None:
    channel = MeasuredChannel(TIMES, GAINS, round_s=0.25)
    scale = np.sqrt(np.mean(np.abs(GAINS) ** 2))
    assert channel.mean_power.mean() == pytest.approx(1.0)
    assert np.allclose(channel.gains(0) * scale, [1.0, 1.0])
    assert np.allclose(channel.gains(1) * scale, [0.5 + 1.0j, 1.0])  # half way
    assert np.allclose(channel.gains(2) * scale, [2.0j, 1.0])
    assert np.allclose(channel.gains(6) * scale, [-2.0, 1.0])
    assert np.allclose(channel.gains(7), channel.gains(5)) and np.allclose(channel.gains(12), channel.gains(0))
    tracked = channel.track(2, np.array([0.0, 0.5]))
    assert np.allclose(tracked[0] * scale, [2.0j, -1.0 + 1.0j])
    assert np.allclose(channel.paths(3)[:, 0], channel.gains(3))


def test_without_a_time_of_rounds_a_round_is_a_step(file: Path) -> None:
    channel = load_channel(file, 2)
    assert channel.step_s == 0.75 and np.allclose(channel.gains(1), channel.track(0, np.array([0.75]))[:, 0])


def test_the_loopback_has_it(file: Path) -> None:
    place = from_settings(2, 1, window=1024, snr_db=50.0, channel=str(file), round_s=0.5)
    medium = place.medium()
    medium.begin(1, "sound")
    assert np.allclose(medium.gains, load_channel(file, 2, 0.5).gains(1))
    for fidelity in ("sample", "symbol"):
        air = open_air(
            2, 1, mode="coherent", fidelity=fidelity, window=1024, snr_db=50.0, channel=str(file), round_s=1e-3
        )  # fmt: skip
        state = air.sound(1)
        expected = load_channel(file, 2, 1e-3).gains(1)
        assert np.allclose(np.abs(state.gains / state.gains[1]), np.abs(expected / expected[1]), atol=0.05)
        air.close()


def test_what_is_no_channel_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pairzero calibrate export"):
        load_channel(tmp_path / "none.npz", 2)
    (tmp_path / "text.npz").write_text("gains")
    with pytest.raises(InputError, match="no measured channel"):
        load_channel(tmp_path / "text.npz", 2)
    with pytest.raises(InputError, match="has 2 devices"):
        load_channel(file, 3)
    with pytest.raises(InputError, match="rising"):
        MeasuredChannel(TIMES[::-1], GAINS)
    with pytest.raises(InputError, match="shape"):
        MeasuredChannel(TIMES, GAINS[:, :2])
