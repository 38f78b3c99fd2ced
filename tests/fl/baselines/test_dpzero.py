"""DPZero: a clipped mean and one curator's noise, of the size that this project's accounting asks for."""

from __future__ import annotations

import numpy as np
import pytest

from fl.baselines.dpzero import DPZero
from privacy.accounting import Charge, epsilon, noise_multiplier

PRIVATE = {"privacy.enabled": True, "privacy.epsilon": 2.0, "privacy.clip": 0.5, "learning.schedule": "constant"}


def test_the_noise_is_sized_for_all_rounds_of_the_pooled_data(make_setting):
    setting = make_setting("dpzero", rounds=7, changes=PRIVATE)
    algorithm = DPZero(setting)
    rate = 8 / 24  # two devices' batches of two devices' examples
    multiplier = noise_multiplier(2.0, 1e-2, rate, 7)
    assert algorithm.noise_std == pytest.approx(multiplier * 0.5 / 8, rel=1e-5)
    assert epsilon([(Charge(rate, multiplier), 7)], 1e-2) <= 2.0


def test_without_privacy_a_step_is_the_clipped_sum_over_the_expected_batch(make_setting):
    setting = make_setting("dpzero", changes={**PRIVATE, "privacy.enabled": False, "learning.rate": 0.04})
    algorithm = DPZero(setting)
    start, learning = setting.flat(), setting.experiment.learning
    batch = algorithm._curator.batch(0)
    with setting.excursion():
        each = setting.replica.projections(batch, setting.seed(0), 1, learning.mu)
    with setting.excursion():
        setting.put(np.zeros(256))
        setting.replica.move(setting.seed(0), 0, 1.0)
        z = setting.flat()
    assert (np.abs(each) > 0.5).any()
    cost = algorithm.round(0)
    expected = -0.04 * np.clip(each, -0.5, 0.5).sum() / 8 * z
    np.testing.assert_allclose(setting.flat() - start, expected, rtol=1e-3, atol=1e-6)
    assert (cost.passes, cost.forwards) == (2 * 2, 2 * 8)
    assert cost.uplink_bits == cost.downlink_bits == 2 * 32


def test_noise_moves_the_weights_by_its_standard_deviation(make_setting):
    """A clip so small against the noise that nothing else moves: amounts are -rate * noise."""
    changes = {**PRIVATE, "privacy.epsilon": 0.02, "learning.rate": 1e-4, "learning.mu": 1e-3}
    setting = make_setting("dpzero", rounds=40, changes=changes)
    algorithm = DPZero(setting)
    released = []
    for t in range(40):
        each = np.zeros((0, 1))
        released.append(algorithm._curator.release("r", t, each)[0])
    # chi with 40 degrees of freedom: 11 % standard deviation
    assert np.std(released) == pytest.approx(algorithm.noise_std, rel=0.45)
