"""Which noise counts against whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.threats import OWN_NOISE, hard_csi_margin, threats
from radio.errors import InputError

STDS = st.lists(st.floats(0.0, 10.0), min_size=1, max_size=8)


def test_the_default_counts_nothing_but_own_noise():
    counted = OWN_NOISE.counted_variance([1.0, 2.0, 3.0], [True, True, False], receiver_variance=100.0)
    np.testing.assert_array_equal(counted, [1.0, 4.0, np.inf])
    assert [OWN_NOISE.own_share(k) for k in (1, 5, 100)] == [1.0] * 3


def test_five_devices_that_count_on_each_other_need_7_db_less_noise_each():
    aggregate = threats()["aggregate"]
    assert 10 * math.log10(OWN_NOISE.own_share(5) / aggregate.own_share(5)) == pytest.approx(10 * math.log10(5))  # 6.99


def test_each_threat_on_one_slot():
    found = threats(colluders=1, dropouts=1, csi_margin=2.0)
    std, active = [1.0, 2.0, 3.0, 4.0, 9.0], [True, True, True, True, False]
    # device 0: own 1, others 4, 9, 16 less the two largest, over kappa; and so on
    own, rest = np.array([1.0, 4.0, 9.0, 16.0]), np.array([4.0, 1.0, 1.0, 1.0])
    wanted = {
        "own-noise": own,
        "aggregate": own + rest / 2,
        "trusted-receiver": own + (rest + 6.0) / 2,
        "broadcast-only": own + (rest + 6.0) / 2,
    }
    assert list(found) == list(wanted)
    for name, variance in wanted.items():
        counted = found[name].counted_variance(std, active, receiver_variance=6.0)
        np.testing.assert_allclose(counted[:4], variance, err_msg=name)
        assert counted[4] == np.inf
    assert [t.name for t in found.values() if not t.enforceable] == ["broadcast-only"]


@given(k=st.integers(1, 12), missing=st.integers(0, 12), kappa=st.floats(1.0, 10.0), receiver=st.floats(0.0, 5.0))
def test_a_share_restores_the_same_counted_variance_whoever_is_active(k, missing, kappa, receiver):
    wanted = 2.5
    for threat in threats(missing, 0, kappa).values():
        counted = threat.counted_variance(np.full(k, 1.3), np.ones(k, bool), receiver)
        np.testing.assert_allclose(counted, threat.counted_equally(1.3, k, receiver), rtol=1e-12)
        if "receiver" not in threat.counts:
            std = math.sqrt(wanted * threat.own_share(k))
            assert threat.counted_variance(np.full(k, std), np.ones(k, bool)).min() == pytest.approx(wanted)
        else:
            assert threat.own_share(k) == 0.0
            alignment = threat.alignment_limit(0.04, wanted)
            assert threat.counted_equally(0.0, k, 0.04 / alignment**2) == pytest.approx(wanted)


@given(stds=STDS, missing=st.integers(0, 4), kappa=st.floats(1.0, 4.0), receiver=st.floats(0.0, 9.0))
def test_a_weaker_adversary_never_counts_less(stds, missing, kappa, receiver):
    active = np.ones(len(stds), bool)
    own, aggregate, trusted, _ = (
        t.counted_variance(stds, active, receiver) for t in threats(missing, 0, kappa).values()
    )
    assert np.all(own <= aggregate) and np.all(aggregate <= trusted)
    fewer = threats(missing + 1, 0, kappa)["aggregate"].counted_variance(stds, active)
    assert np.all(fewer <= aggregate)


def test_the_hard_margin():
    # sigma_e^2 = 0.001, |h|^2 = 0.1, 5 devices, 8000 rounds, delta_e = 1e-7
    x = math.sqrt(0.001 * math.log(40_000 / 1e-7) / 0.1)
    assert hard_csi_margin(math.sqrt(0.001 / 0.1), 40_000, 1e-7) == pytest.approx(((1 + x) / (1 - x)) ** 2)
    assert hard_csi_margin(0.0, 1, 0.5) == 1.0
    assert hard_csi_margin(0.5, 40_000, 1e-7) == math.inf


def test_the_hard_margin_bounds_drawn_errors():
    draws = np.random.default_rng(5)
    errors = 0.05 / math.sqrt(2) * (draws.standard_normal((2000, 20)) + 1j * draws.standard_normal((2000, 20)))
    gains = np.abs(1.0 + errors) ** 2
    beyond = (gains.max(axis=1) / gains.min(axis=1) > hard_csi_margin(0.05, 20, 0.05)).mean()
    assert beyond <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("limits", [{"colluders": -1}, {"dropouts": -1}, {"csi_margin": 0.5}, {"csi_margin": math.inf}])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(InputError, match="allowed"):
        threats(**limits)


@pytest.mark.parametrize("error, estimates, delta", [(-1.0, 1, 0.1), (0.1, 0, 0.1), (0.1, 1, 0.0), (0.1, 1, 1.0)])
def test_an_impossible_hard_margin_is_refused(error, estimates, delta):
    with pytest.raises(InputError, match="allowed"):
        hard_csi_margin(error, estimates, delta)
