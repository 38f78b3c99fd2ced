"""A cell of a study: one thing to measure, known by the digest of everything that decides its result.

`POLICY` stands for the code in that digest: it is raised when a change would make a cell measure something else, and all cells
are then measured again; a change that leaves results alone leaves it alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from fl.studies.outcome import Outcome, Value

POLICY = 1
# keys that say where things are and how the work is divided: not in a digest, for no result depends on them
INDIFFERENT = ("task.root", "privacy.ledger", "run.name", "run.threads", "learning.micro_batch")
# keys younger than POLICY, with the value that stands for what was measured before them: at that value not in a digest either
LATER: Mapping[str, Any] = {"privacy.saturation": 1.0}


class Work(Protocol):
    """What a cell does."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that decides the result, JSON's own types; not where files lie."""
        ...

    @property
    def seconds(self) -> float:
        """Estimated duration with the embedded model on two cores."""
        ...

    def check(self) -> None:
        """Raises InputError where it cannot be done here, for example without its data."""
        ...

    def carry_out(self, folder: Path) -> Outcome:
        """Measure, from wherever an interrupted attempt in `folder` stands.  Raises KeyboardInterrupt."""
        ...


@dataclass(frozen=True)
class Cell:
    """`factors` are what the study varies: the columns that tables and figures go by."""

    factors: Mapping[str, Value]
    seed: int
    work: Work

    @cached_property
    def digest(self) -> str:
        text = json.dumps({"policy": POLICY, **self.work.identity}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.factors.items()) + f", seed {self.seed}"
