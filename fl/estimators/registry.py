"""Estimators by name, and what each kind of probe leaves in the weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from fl.estimators.central import Central
from fl.estimators.estimator import UNTOUCHED, Estimator
from fl.estimators.one_sided import OneSided
from fl.estimators.split import Split


@lru_cache
def estimator(name: str, cut: int = 1, blocks: int = 2) -> Estimator:
    """`central`, `one-sided`, or `split:W` for a network of `blocks` decoder blocks, cut before block `cut`."""
    known = {kind.name: kind for kind in (Central, OneSided)}
    kind, _, width = name.partition(":")
    if kind == "split" and width.isdigit() and int(width) > 0:
        return Split(int(width), cut, blocks)
    if name not in known:
        raise ValueError(f"no estimator {name!r}; known: {', '.join(known)}, split:W with a number W")
    return known[name]()


@lru_cache(maxsize=64)
def probe_trace(probe: str, perturbations: int, mu: float) -> Sequence[tuple[int, float]]:
    """(perturbation, amount) that a probe of this kind added, in order; nothing where it left the weights untouched."""
    return () if probe == UNTOUCHED else tuple(estimator(probe).trace(perturbations, mu))
