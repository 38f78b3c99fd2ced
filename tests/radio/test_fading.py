from __future__ import annotations

import numpy as np
import pytest
from scipy.special import j0

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


def test_jakes_correlation_is_the_bessel_function_across_rounds_and_within() -> None:
    """E h(t + s) h(t)* = J_0(2 pi f_D s), Clarke's model."""
    doppler, spacing = 3.0, 0.02
    fading = Fading(3000, seed=6, doppler_hz=doppler, round_s=spacing)
    first = fading.gains(0)
    power = np.abs(first) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.06) and (power**2).mean() == pytest.approx(2.0, rel=0.12)
    for rounds in (1, 3, 6, 10):
        found = (fading.gains(rounds) * first.conj()).mean()
        assert found == pytest.approx(j0(2 * np.pi * doppler * rounds * spacing), abs=0.06)
    within = fading.track(0, np.array([0.0, 0.06]))
    assert np.allclose(within[:, 0], first, atol=1e-12)
    assert np.allclose(within[:, 1], fading.gains(3), atol=1e-12)  # 3 rounds later is 60 ms later


def test_rician_line_of_sight_stays_while_its_scatter_moves() -> None:
    fading = Fading(2000, seed=7, kind="rician", rician_k_db=6.0, doppler_hz=10.0, round_s=1.0)
    late = np.array([fading.gains(t) for t in range(40)])
    line = np.abs(late.mean(axis=0)) ** 2
    assert line.mean() == pytest.approx(10**0.6 / (1 + 10**0.6), abs=0.05)


@pytest.mark.parametrize("kind", ["rayleigh", "rician", "static"])
def test_paths_share_the_power_and_sum_to_the_gain(kind: str) -> None:
    fading = Fading(4000, seed=8, kind=kind, tap_delays_s=(0.0, 1e-6, 3e-6), tap_powers_db=(0.0, -3.0, -10.0))
    paths = fading.paths(2)
    shares = 10 ** (np.array([0.0, -3.0, -10.0]) / 10)
    shares /= shares.sum()
    if kind == "rician":  # the line of sight is in the first path
        shares = shares / (1 + 10**0.6) + np.array([10**0.6 / (1 + 10**0.6), 0, 0])
    assert np.allclose((np.abs(paths) ** 2).mean(axis=0), shares, atol=0.04)
    assert np.allclose(fading.gains(2), paths.sum(axis=1))
    assert (np.abs(fading.gains(2)) ** 2).mean() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(
    "settings",
    [
        {"doppler_hz": -1.0},
        {"doppler_hz": 1.0},
        {"tap_delays_s": (0.0,)},
        {"tap_delays_s": (-1e-6,), "tap_powers_db": (0.0,)},
    ],
)
def test_bad_time_and_path_settings(settings: dict) -> None:
    with pytest.raises(InputError, match=r"round_s|doppler_hz|tap_delays_s"):
        Fading(2, seed=0, **settings)
