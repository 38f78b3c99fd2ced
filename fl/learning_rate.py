"""How the learning rate goes over the rounds (`learning.schedule`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fl.config import Learning


def rate_at(learning: Learning, index: int) -> float:
    """Learning rate of committed round `index` (0-based)."""
    done = index / learning.rounds
    if learning.schedule == "linear":
        return learning.rate * (1.0 - done)
    if learning.schedule == "cosine":
        return learning.rate * 0.5 * (1.0 + math.cos(math.pi * done))
    return learning.rate
