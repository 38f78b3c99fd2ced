"""Directions by name."""

from __future__ import annotations

from fl.directions.direction import Direction
from fl.directions.rademacher import Rademacher


def direction(name: str) -> Direction:
    known = {kind.name: kind for kind in (Rademacher,)}
    if name not in known:
        raise ValueError(f"no direction {name!r}; known: {', '.join(known)}")
    return known[name]()
