"""What a cell of a study measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = float | int | str | None


@dataclass(frozen=True)
class Point:
    """One evaluation on held-out data, and everything spent up to there by all devices together.

    forwards      examples through a forward pass; backwards: through a backward pass
    uplink_uses   analog channel uses; uplink_bits: digital bits
    """

    round: int
    forwards: float
    backwards: float
    uplink_uses: float
    uplink_bits: float
    loss: float
    accuracy: float

    @property
    def work(self) -> float:
        """Forward passes of an example, a backward pass counted as two."""
        return self.forwards + 2.0 * self.backwards


@dataclass(frozen=True)
class Outcome:
    """Figures by name, and the curve that led there.  `stopped` says why a cell ended early, if it did."""

    figures: Mapping[str, Value]
    curve: tuple[Point, ...] = ()
    stopped: str = ""


def first_reaching(curve: tuple[Point, ...], accuracy: float) -> Point | None:
    """The first evaluation on the way that is at least so accurate."""
    return next((point for point in _on_the_way(curve) if point.accuracy >= accuracy), None)


@dataclass(frozen=True)
class Measured:
    """A cell's outcome as it stands in the record, with the machine and the versions it was measured on."""

    row: Mapping[str, Value]
    curve: tuple[Point, ...] = field(default=())

    def number(self, key: str) -> float | None:
        value: Any = self.row.get(key)
        return float(value) if isinstance(value, int | float) else None


def first_below(curve: tuple[Point, ...], loss: float) -> Point | None:
    """The first evaluation on the way whose loss is at most this, which chance moves less than an accuracy."""
    return next((point for point in _on_the_way(curve) if point.loss <= loss), None)


def _on_the_way(curve: tuple[Point, ...]) -> tuple[Point, ...]:
    """Without the last one: it may be of other sentences (all that are held out), and pass a target by those alone."""
    return curve[:-1] or curve
