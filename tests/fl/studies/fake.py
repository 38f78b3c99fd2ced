"""A cell that costs nothing and may be told to fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fl.studies.outcome import Outcome, Point
from radio.errors import InputError

CARRIED_OUT: list[tuple[float, int]] = []


def nothing(folder: Path) -> None:
    pass


def refuse(folder: Path) -> None:
    raise InputError("no data")


def die(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def last(folder: Path) -> None:
    """Say that it began, and then take until Ctrl-C."""
    folder.mkdir(parents=True)
    (folder / "began").touch()
    time.sleep(120)


@dataclass(frozen=True)
class Fake:
    """Accuracy 0.5 + level/100 + seed/1000, and one step of a curve."""

    level: float
    seed: int
    fails: Callable[[Path], None] = field(default=nothing, compare=False)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"work": "fake", "level": self.level, "seed": self.seed}

    @property
    def seconds(self) -> float:
        return 60.0

    def check(self) -> None:
        if self.level < 0:
            refuse(Path())

    def carry_out(self, folder: Path) -> Outcome:
        self.fails(folder)
        CARRIED_OUT.append((self.level, self.seed))
        accuracy = 0.5 + self.level / 100 + self.seed / 1000
        curve = (Point(0, 0, 0, 0, 0, 0.8, 0.5), Point(10, 160.0, 0, 10, 0, 0.7, accuracy))
        figures = {"accuracy": accuracy, "loss": 0.7, "chance_floor": 0.5, "note": "a, b"}
        return Outcome(figures, curve, "the air is gone" if self.level == 13 else "")
