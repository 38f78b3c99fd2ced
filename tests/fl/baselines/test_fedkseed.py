"""FedKSeed: the weights are a combination of the pool's directions, weighted by what devices found; what it sends."""

from __future__ import annotations

import numpy as np
import pytest

from fl.baselines.fedkseed import FedKSeed
from fl.update import Move


def test_weights_move_by_the_pools_directions_and_the_scalars_that_devices_measured(make_setting, monkeypatch):
    setting = make_setting("fedkseed", changes={"learning.rate": 0.01})
    algorithm = FedKSeed(setting, pool=4, local_steps=5, batch=2)
    start = setting.flat().astype(np.float64)
    told = []
    measure = setting.replica.projections

    def listen(examples, seed, *rest):
        found = measure(examples, seed, *rest)
        told.append((seed, float(found.mean()), len(examples)))
        return found

    monkeypatch.setattr(setting.replica, "projections", listen)
    cost = algorithm.round(0)
    assert len(told) == 10 and {n for _, _, n in told} == {2}
    pool = [setting.named_seed("pool", j) for j in range(4)]
    assert {seed for seed, _, _ in told} <= set(pool)
    end = setting.flat().astype(np.float64)
    expected = np.zeros_like(start)
    for seed, scalar, _ in told:
        setting.put(np.zeros(256))
        setting.replica._weights.move([Move(seed, 0, 1.0)])
        expected += -0.01 * 0.5 * scalar * setting.flat()  # two devices with as much data
    np.testing.assert_allclose(end - start, expected, atol=2e-6)
    assert np.abs(expected).max() > 1e-3
    assert (cost.passes, cost.forwards) == (2 * 2 * 5, 2 * 2 * 5 * 2)
    assert cost.uplink_bits == 2 * 5 * 64
    assert cost.downlink_bits == 2 * 4 * 32


def test_a_round_of_no_rate_leaves_the_weights_as_they_were(make_setting):
    setting = make_setting("fedkseed", changes={"learning.rate": 1e-30})
    start = setting.flat()
    FedKSeed(setting, pool=8, local_steps=3).round(0)
    np.testing.assert_array_equal(setting.flat(), start)


@pytest.mark.parametrize("pool", [1, 64])
def test_seeds_are_drawn_from_the_whole_pool(make_setting, pool):
    setting = make_setting("fedkseed")
    drawn = {
        int(index)
        for t in range(20)
        for k in range(2)
        for index in setting.stream("fedkseed", t, k).integers(pool, size=16)
    }
    assert drawn == set(range(pool))
