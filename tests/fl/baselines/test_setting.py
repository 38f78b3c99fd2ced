"""The common ground: batches, weights in a row, walks that come back, and data that may be trained on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fl.baselines.algorithm import Cost
from fl.baselines.harness import prepare
from fl.baselines.setting import Setting
from radio.errors import InputError


@pytest.fixture(scope="module")
def setting(base_experiment):
    with Setting.build(base_experiment) as built:
        yield built


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(t=st.integers(0, 50), k=st.integers(0, 1), steps=st.integers(1, 9), size=st.integers(1, 20))
def test_batches_go_through_a_devices_own_data_epoch_by_epoch(setting, t, k, steps, size):
    share = list(setting.shares[k])
    batches = setting.batches(t, k, steps, size)
    assert len(batches) == steps
    assert batches == setting.batches(t, k, steps, size)
    per_epoch = -(-len(share) // min(size, len(share)))
    for start in range(0, steps - per_epoch + 1, per_epoch):
        seen = [e for batch in batches[start : start + per_epoch] for e in batch]
        assert sorted(e.ids for e in seen) == sorted(e.ids for e in share)
    assert all(0 < len(batch) <= size for batch in batches)


def test_batches_of_other_rounds_and_devices_are_others(setting):
    assert setting.batches(0, 0) != setting.batches(1, 0)
    assert {e.ids for e in setting.shares[0]}.isdisjoint(e.ids for e in setting.shares[1])
    assert [len(b) for b in setting.batches(0, 0)] == [setting.batch]


def test_weights_in_a_row_are_the_models(setting):
    (array,) = setting.replica.model.select(setting.experiment.learning.parameters).values()
    start = setting.flat()
    np.testing.assert_array_equal(start, array.reshape(-1))
    setting.put(start + 0.5)
    np.testing.assert_array_equal(array.reshape(-1), start + np.float32(0.5))
    setting.put(start)


def test_a_walk_comes_back_bit_for_bit(setting):
    before = setting.replica.digest()
    with setting.excursion():
        setting.descend(0, 17, np.array([3.0]))
        assert np.abs(setting.flat()).max() > 0
        assert setting.replica.digest() != before
    assert setting.replica.digest() == before


def test_every_share_weighs_as_much_as_it_holds(setting):
    np.testing.assert_allclose(setting.weights, [0.5, 0.5])


def test_private_data_is_refused(base_experiment):
    private = prepare("mezo", base_experiment, 1, {"task.public": False})
    with pytest.raises(InputError, match=r"task\.public = true"):
        Setting.build(private)


def test_costs_add_up():
    total = Cost(1, 2, 3, 4, 5, 6) + Cost(10, 20, 30, 40, 50, 60)
    assert total == Cost(11, 22, 33, 44, 55, 66)
