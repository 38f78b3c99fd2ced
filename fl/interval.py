"""How far a proportion seen in few trials, or a mean over few seeds, can be trusted."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Z_95 = 1.959963984540054


def wilson_interval(accuracy: float, examples: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of a proportion, 95 % by default (Wilson 1927); (0, 1) where there were no examples."""
    if examples <= 0:
        return 0.0, 1.0
    centre = (accuracy + z * z / (2 * examples)) / (1 + z * z / examples)
    half = z / (1 + z * z / examples) * ((accuracy * (1 - accuracy) + z * z / (4 * examples)) / examples) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def student_half(values: Sequence[float]) -> float | None:
    """Half of the 95 % interval of a mean (Student's t); None for one value, which says nothing of the spread."""
    from scipy.stats import t

    if len(values) < 2:
        return None
    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
