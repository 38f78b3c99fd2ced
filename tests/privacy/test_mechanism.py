from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from privacy.accounting import Charge
from privacy.grid import STEPS_PER_CLIP, Grid
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret, SystemSecret
from privacy.unit import DEVICE
from radio.errors import InputError


def test_noise_of_the_mechanism_is_multiplier_root_scalars_clip_over_denominator() -> None:
    mechanism = OwnNoise(Grid(clip=3.0, denominator=64.0), 4, Charge(0.064, 5.168))
    expected = 5.168 * 2.0 * 3.0 / 64.0
    assert expected <= mechanism.noise_std <= expected * (1 + 1e-6)
    draws = np.stack([mechanism.release(np.zeros((0, 4)), SystemSecret()) for _ in range(2000)])
    # 8000 draws: the sample variance has a relative standard deviation of sqrt(2/8000) = 0.016
    assert draws.var() / mechanism.noise_std**2 == pytest.approx(1.0, abs=6 * 0.016)
    assert abs(draws.mean()) < 6 * mechanism.noise_std / math.sqrt(8000)
    correlation = np.corrcoef(draws.T) - np.eye(4)
    assert np.abs(correlation).max() < 6 / math.sqrt(2000)


def test_release_is_clean_plus_noise_on_the_grid_and_a_repeated_round_repeats() -> None:
    mechanism = OwnNoise(Grid(1.0, 8.0), 2, Charge(0.1, 1.5))
    values = np.array([[0.5, -0.25], [2.0, math.nan]])
    np.testing.assert_allclose(mechanism.clean(values), [1.5 / 8, -0.25 / 8], atol=1e-6)

    def once(round_index: int) -> np.ndarray:
        return mechanism.release(values, ReproducibleSecret(1, "device", 0).stream("round", round_index, "noise"))

    assert (once(3) == once(3)).all()
    assert (once(3) != once(4)).all()
    steps = once(3) / mechanism.grid.step
    assert (steps == np.rint(steps)).all()
    with pytest.raises(ValueError, match="set up for 2"):
        mechanism.release(np.zeros((1, 3)), SystemSecret())


def test_for_a_device_the_noise_covers_the_swing_from_limit_to_limit() -> None:
    mechanism = OwnNoise(Grid(clip=3.0, denominator=64.0), 4, Charge(1.0, 80.0), unit=DEVICE)
    expected = 80.0 * math.sqrt(4) * 2 * 3.0
    assert expected <= mechanism.noise_std <= expected * (1 + 1e-6)
    with pytest.raises(InputError, match="sampling its examples does not hide a device"):
        OwnNoise(Grid(3.0, 64.0), 4, Charge(0.064, 80.0), unit=DEVICE)


def test_a_share_is_of_the_variance_and_never_rounded_down() -> None:
    charge = Charge(0.1, 5.168)
    whole = OwnNoise(Grid(1.0, 8.0), 3, charge)
    for share in (0.2, 0.25, 0.5, 1.0):
        part = replace(whole, share=share)
        wanted = Fraction(share) * Fraction(5.168) ** 2 * 3 * STEPS_PER_CLIP**2
        assert (part.sigma_steps - 1) ** 2 < wanted <= part.sigma_steps**2
    for share in (0.0, 1.5, math.nan):
        with pytest.raises(InputError, match="share of the noise"):
            replace(whole, share=share)


def test_the_larger_of_the_proposed_noise_and_the_own_floor_is_used() -> None:
    mechanism = OwnNoise(Grid(1.0, 8.0), 1, Charge(1.0, 2.0))
    empty = np.zeros((0, 1))

    def spread(noise_std: float | None) -> float:
        draws = [mechanism.release(empty, ReproducibleSecret(2, t), noise_std)[0] for t in range(1500)]
        return float(np.std(draws)) / mechanism.noise_std

    floor = spread(None)
    assert floor == pytest.approx(1.0, abs=6 / math.sqrt(3000))
    assert spread(0.5 * mechanism.noise_std) == spread(0.0) == spread(-math.inf) == floor
    assert spread(3.0 * mechanism.noise_std) == pytest.approx(3.0, rel=6 / math.sqrt(3000))
    for proposed in (math.nan, math.inf, 1e40):
        with pytest.raises(InputError, match="proposed noise"):
            mechanism.release(empty, SystemSecret(), proposed)


def test_noise_beyond_the_sampler_is_explained() -> None:
    with pytest.raises(InputError, match="grid steps; allowed"):
        OwnNoise(Grid(1.0, 1e5), 16, Charge(1.0, 1e5), unit=DEVICE)
    with pytest.raises(InputError, match="0 scalars"):
        OwnNoise(Grid(1.0, 8.0), 0, Charge(1.0, 1.0))
