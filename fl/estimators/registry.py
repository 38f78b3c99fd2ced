"""Estimators by name, and what each kind of probe leaves in the weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fl.estimators.central import Central
from fl.estimators.estimator import UNTOUCHED, Estimator
from fl.estimators.one_sided import OneSided


@lru_cache
def estimator(name: str) -> Estimator:
    """`central`, `one-sided`."""
    known = {kind.name: kind for kind in (Central, OneSided)}
    if name not in known:
        raise ValueError(f"no estimator {name!r}; known: {', '.join(known)}")
    return known[name]()


@lru_cache(maxsize=64)
def probe_trace(probe: str, perturbations: int, mu: float) -> Sequence[tuple[int, float]]:
    """(perturbation, amount) that a probe of this kind added, in order; nothing where it left the weights untouched."""
    return () if probe == UNTOUCHED else tuple(estimator(probe).trace(perturbations, mu))
