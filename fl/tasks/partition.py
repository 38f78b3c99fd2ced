"""Share training examples out over devices: alike (IID), or skewed in their labels (Dirichlet).

Every function returns one sorted index array per device; together they are a partition: each example has one owner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.streams import stream

ALPHA_RANGE = (1e-3, 1e6)


def iid(total: int, devices: int, seed: int) -> list[NDArray[np.int64]]:
    """Random shares of `total // devices` examples; the remainder goes to the first devices, one each."""
    _check(total, devices)
    order = stream(seed, "tasks", "partition", "iid").permutation(total)
    return [np.sort(share).astype(np.int64) for share in np.array_split(order, devices)]


def dirichlet(labels: Sequence[int], devices: int, alpha: float, seed: int) -> list[NDArray[np.int64]]:
    """For each label, shares over devices drawn from Dirichlet(alpha, ..., alpha) (Hsu et al., arXiv 1909.06335).

    As flwr-datasets' DirichletPartitioner without self-balancing, except that a device left with nothing takes one
    example from the largest share instead of everything being drawn again.  Large alpha approaches IID label shares,
    small alpha leaves most devices with one label.
    """
    _check(len(labels), devices)
    low, high = ALPHA_RANGE
    if not low <= alpha <= high:
        raise InputError(f"alpha = {alpha} of the Dirichlet partition is out of range; allowed: {low} to {high:g}")
    rng = stream(seed, "tasks", "partition", "dirichlet", repr(float(alpha)))
    shares: list[list[int]] = [[] for _ in range(devices)]
    array = np.asarray(labels)
    for label in np.unique(array):
        members = rng.permutation(np.flatnonzero(array == label))
        portions = rng.dirichlet(np.full(devices, alpha))
        cuts = np.round(np.cumsum(portions)[:-1] * len(members)).astype(np.int64)
        for share, part in zip(shares, np.split(members, cuts), strict=True):
            share.extend(part.tolist())
    for share in shares:
        if not share:
            largest = max(shares, key=len)
            share.append(largest.pop())
    return [np.sort(np.asarray(share, dtype=np.int64)) for share in shares]


def _check(total: int, devices: int) -> None:
    if devices < 1:
        raise InputError(f"{devices} devices cannot share examples; at least 1 is needed")
    if total < devices:
        raise InputError(f"{total} examples cannot be shared by {devices} devices; every device needs at least one")
