from __future__ import annotations

import numpy as np
import pytest

from radio.errors import InputError
from radio.fading import Fading


def draws(fading: Fading, blocks: int = 3000) -> np.ndarray:
    return np.array([fading.gains(t) for t in range(blocks)])


def test_rayleigh_is_circular_with_unit_mean_power_and_exponential_power() -> None:
    h = draws(Fading(8, seed=1)).ravel()  # 24,000 draws: standard error of the mean power 0.65 %
    power = np.abs(h) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.03)
    assert abs((h**2).mean()) < 0.03 and abs(h.mean()) < 0.03
    for level in (0.1, 0.5, 2.0):
        assert (power > level).mean() == pytest.approx(np.exp(-level), abs=0.015)


@pytest.mark.parametrize("k_db", [0.0, 6.0, 12.0])
def test_rician_k_factor(k_db: float) -> None:
    h = draws(Fading(4, seed=2, kind="rician", rician_k_db=k_db))
    line_of_sight = np.abs(h.mean(axis=0)) ** 2  # its phase is fixed for each device
    scattered = h.var(axis=0)
    assert 10 * np.log10((line_of_sight / scattered).mean()) == pytest.approx(k_db, abs=0.35)
    assert (np.abs(h) ** 2).mean() == pytest.approx(1.0, abs=0.03)


def test_static_gains_are_unit_and_never_change() -> None:
    fading = Fading(5, seed=3, kind="static")
    assert np.allclose(np.abs(fading.gains(0)), 1.0)
    assert np.array_equal(fading.gains(0), fading.gains(99))


def test_path_loss_scales_each_device() -> None:
    free = Fading(3, seed=4).gains(7)
    lossy = Fading(3, seed=4, path_loss_db=[0.0, 20.0, 40.0])
    assert np.allclose(lossy.gains(7), free * np.array([1.0, 0.1, 0.01]))
    assert np.allclose(lossy.mean_power, [1.0, 1e-2, 1e-4])


def test_gains_hold_for_a_block_and_do_not_depend_on_order() -> None:
    fading = Fading(2, seed=5, coherence_rounds=4)
    forward = [fading.gains(t) for t in range(12)]
    for t in reversed(range(12)):
        assert np.array_equal(fading.gains(t), forward[t])
        assert np.array_equal(forward[t], forward[t - t % 4])
    assert not np.array_equal(forward[0], forward[4])


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "awgn"},
        {"path_loss_db": [1.0, 2.0]},
        {"path_loss_db": float("nan")},
        {"coherence_rounds": 0},
        {"devices": 0},
    ],
)
def test_bad_settings_name_the_value(settings: dict) -> None:
    with pytest.raises(InputError):
        Fading(**{"devices": 3, "seed": 0, **settings})
