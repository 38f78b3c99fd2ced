"""Directions by name, built with what each needs."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from fl.directions import sparse
from fl.directions.compiled import available
from fl.directions.direction import Direction, Values
from fl.directions.eager import EagerDirection, EagerLowRank
from fl.directions.gaussian import Gaussian
from fl.directions.low_rank import LowRank
from fl.directions.rademacher import Rademacher

DENSE = {kind.name: kind for kind in (Rademacher, Gaussian)}


def direction(
    name: str,
    parameters: Mapping[str, Values] | None = None,
    *,
    density: float = 1.0,
    mask: str = "magnitude",
    rank: int = 2,
    seed: int = 0,
) -> Direction:
    """`rademacher`, `gaussian` or `low-rank`.

    parameters  the trained weights as they are at the start of a run: low-rank needs their shapes, a mask their magnitudes.
                Any of them on another device: the direction is one that moves tensors too
    density     share of them that moves; below 1 it takes a `mask`, `magnitude` or `random` (from the public `seed`)
    rank        of `low-rank`
    """
    if name not in (*DENSE, LowRank.name):
        raise ValueError(f"no direction {name!r}; known: {', '.join((*DENSE, LowRank.name))}")
    if not available:
        _tell()
    dense = DENSE.get(name, Rademacher)
    arrays = parameters or {}
    compiled = available and all(isinstance(values, np.ndarray) for values in arrays.values())
    base: Direction = dense() if compiled else EagerDirection(dense.name)
    if name == LowRank.name:
        if density < 1:
            raise ValueError(f"a low-rank direction has no mask, but density = {density:g}")
        shapes = {n: tuple(values.shape) for n, values in arrays.items()}
        return LowRank(shapes, rank, base) if compiled else EagerLowRank(shapes, rank)
    if density == 1:
        return base
    if mask == "magnitude":
        return sparse.Sparse(base, sparse.magnitude(arrays, density))
    if mask == "random":
        sizes = {n: math.prod(values.shape) for n, values in arrays.items()}
        return sparse.Sparse(base, sparse.random(sizes, density, seed))
    raise ValueError(f"no mask {mask!r}; known: magnitude, random")


@lru_cache(maxsize=1)
def _tell() -> None:
    """Once a process."""
    print("numba is absent or switched off (NUMBA_DISABLE_JIT): directions are drawn by torch, slower", file=sys.stderr)
