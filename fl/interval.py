"""How far a proportion seen in few trials can be trusted."""

from __future__ import annotations

Z_95 = 1.959963984540054


def wilson_interval(accuracy: float, examples: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of a proportion, 95 % by default (Wilson 1927); (0, 1) where there were no examples."""
    if examples <= 0:
        return 0.0, 1.0
    centre = (accuracy + z * z / (2 * examples)) / (1 + z * z / examples)
    half = z / (1 + z * z / examples) * ((accuracy * (1 - accuracy) + z * z / (4 * examples)) / examples) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
