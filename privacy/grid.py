"""Per-example projections on an integer grid, so that the sensitivity of what a device sends is exact.

A device reports `p = (1/B) sum_i clip(p_i)`. Summed in floating point, one example moves `p` by its own share
*plus* whatever rounding the other examples suffer, and the sensitivity is no longer `clip/B`. So each example's
value is clipped and rounded to a multiple of `clip / 2^20` first and the multiples are added as 64-bit integers:
leaving any one example out moves the sum by at most 2^20 steps, exactly, whatever the others are. Quantising after
the sum instead would cost 4.8 % of the sensitivity at B = 64.

Why 2^20: the rounding (at most 2^-21 of the clip per example) is far below the noise (about five clips for the
whole sum), it is as fine as the fp32 losses it comes from, 2^43 examples fit before the sum could overflow, and the
noise is about 10^6 steps wide, where the discrete Gaussian and a rounded continuous one differ by a factor of 1 +
O(1/sigma^2), about 1e-13 a round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radio.errors import InputError

STEPS_PER_CLIP = 2**20


@dataclass(frozen=True)
class Grid:
    """The grid of one device.

    clip         largest magnitude a single example may contribute, in units of the projected gradient
    denominator  B, public and fixed (sampling rate times the nominal number of examples, never the batch's real size)
    saturation   largest magnitude of the payload before noise; by default the clip
    """

    clip: float
    denominator: float
    saturation: float | None = None

    def __post_init__(self) -> None:
        limits = {"clip": self.clip, "denominator": self.denominator, "saturation": self.payload_limit}
        for name, value in limits.items():
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{name} is {value!r}; allowed: finite and above 0")

    @property
    def payload_limit(self) -> float:
        """Largest |payload| before noise."""
        return self.clip if self.saturation is None else self.saturation

    @property
    def step(self) -> float:
        """Payload per unit of the integer grid."""
        return self.clip / (self.denominator * STEPS_PER_CLIP)

    @property
    def limit_steps(self) -> int:
        """Largest |payload| before noise, in grid steps."""
        return min(int(self.payload_limit / self.step), 2**62)

    def project(self, values: ArrayLike) -> NDArray[np.int64]:
        """Sum of the clipped and rounded values of a batch, saturated.

        values   (n, P) one projected gradient per example and perturbation, n = 0 included; NaN and infinities are 0
        returns  (P,) integers in grid steps; saturating is the last operation, so it cannot raise the sensitivity
        """
        array = np.asarray(values, dtype=np.float64)
        if array.ndim != 2:
            raise ValueError(f"values have shape {array.shape}; expected (examples, perturbations)")
        finite = np.where(np.isfinite(array), array, 0.0)
        # Clip before dividing (no overflow) and after (no rounding beyond 1), so that |steps| <= 2^20 whatever the
        # clip is.
        share = np.clip(np.clip(finite, -self.clip, self.clip) / self.clip, -1.0, 1.0)
        steps = np.rint(share * STEPS_PER_CLIP).astype(np.int64)
        return np.clip(steps.sum(axis=0, dtype=np.int64), -self.limit_steps, self.limit_steps)

    def payload(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Grid steps (P,) as payload (P,): a fixed function of the integers, so post-processing."""
        return steps.astype(np.float64) * self.step
