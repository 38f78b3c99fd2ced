"""Shares of training examples: always a partition, and skewed as the Dirichlet distribution says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.tasks.partition import dirichlet, iid
from radio.errors import InputError


def is_partition(shares, total: int) -> bool:
    return np.array_equal(np.sort(np.concatenate(shares)), np.arange(total))


@given(devices=st.integers(1, 12), extra=st.integers(0, 200), seed=st.integers(0, 2**63))
def test_iid_is_an_even_partition(devices, extra, seed):
    total = devices + extra
    shares = iid(total, devices, seed)
    assert len(shares) == devices and is_partition(shares, total)
    assert {len(share) for share in shares} <= {total // devices, total // devices + 1}
    assert all((np.diff(share) > 0).all() for share in shares)


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 2), min_size=1, max_size=120),
    data=st.data(),
    alpha=st.floats(1e-3, 1e6),
    seed=st.integers(0, 2**63),
)
def test_dirichlet_is_a_partition_with_no_empty_share(labels, data, alpha, seed):
    devices = data.draw(st.integers(1, min(10, len(labels))))
    shares = dirichlet(labels, devices, alpha, seed)
    assert len(shares) == devices and is_partition(shares, len(labels))
    assert min(len(share) for share in shares) >= 1
    again = dirichlet(labels, devices, alpha, seed)
    assert all(np.array_equal(a, b) for a, b in zip(shares, again, strict=True))


def test_seeds_differ():
    assert not np.array_equal(iid(100, 2, 1)[0], iid(100, 2, 2)[0])
    labels = [0, 1] * 50
    assert not np.array_equal(dirichlet(labels, 2, 1.0, 1)[0], dirichlet(labels, 2, 1.0, 2)[0])


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_dirichlet_shares_have_the_distribution_s_moments(alpha):
    """A component of a symmetric Dirichlet over K has mean 1/K and variance (K-1)/(K^2 (K alpha + 1))."""
    devices, per_label, runs = 4, 500, 300
    labels = np.repeat([0, 1], per_label)
    portions = np.asarray(
        [[(share < per_label).sum() / per_label for share in dirichlet(labels, devices, alpha, s)] for s in range(runs)]
    )
    variance = (devices - 1) / (devices**2 * (devices * alpha + 1))
    assert portions.mean(axis=0) == pytest.approx(1 / devices, abs=4 * (variance / runs) ** 0.5)
    assert portions.var() == pytest.approx(variance, rel=0.15)


def test_large_alpha_is_even_and_small_alpha_is_not():
    labels = np.repeat([0, 1], 500)
    even = dirichlet(labels, 5, 1e6, 1)
    assert all(abs(int((share < 500).sum()) - 100) <= 2 for share in even)
    skewed = dirichlet(labels, 5, 1e-3, 1)
    assert max(int((share < 500).sum()) for share in skewed) > 450


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_impossible_alpha(alpha):
    with pytest.raises(InputError, match=r"alpha = .*allowed: 0\.001 to 1e\+06"):
        dirichlet([0, 1, 0, 1], 2, alpha, 1)


def test_impossible_sizes():
    with pytest.raises(InputError, match="3 examples cannot be shared by 4 devices"):
        iid(3, 4, 1)
    with pytest.raises(InputError, match="2 examples cannot be shared by 3 devices"):
        dirichlet([0, 1], 3, 1.0, 1)
    with pytest.raises(InputError, match="0 devices"):
        iid(3, 0, 1)
