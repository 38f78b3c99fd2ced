from __future__ import annotations

import numpy as np

from radio.air import Air
from radio.ideal import IdealAir
from radio.inversion import plan_inversion


def test_exact_sum_of_the_active_set() -> None:
    air: Air = IdealAir(3)
    state = air.sound(0)
    assert np.array_equal(state.gains, np.ones(3)) and state.noise_variance == 0.0
    plan = plan_inversion(state, 2.0)
    payloads = np.array([[1.0, -2.0], [0.25, 0.5], [0.0, 0.125]])
    got = air.aggregate(0, payloads, plan)
    assert got.total.tolist() == [1.25, -1.375]
    assert not got.erased and np.isinf(got.snr_db).all() and not got.variance.any() and not got.clipped.any()
    assert got.transmit_power_dbfs[0] == 10 * np.log10((0.25 + 1.0) / 2)


def test_nobody_active_is_an_erasure() -> None:
    with IdealAir(2) as air:
        state = air.sound(0)
        state.quality[:] = False
        got = air.aggregate(0, np.ones((2, 1)), plan_inversion(state, 1.0))
    assert got.erased and np.isnan(got.total).all() and np.isneginf(got.transmit_power_dbfs).all()
