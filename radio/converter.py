"""A DAC or an ADC: full scale, quantisation and an honest count of what was clipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError


@dataclass(frozen=True)
class Converter:
    """Mid-tread converter of a complex signal, rails in [-1, 1].

    Codes run from -(2^(bits-1) - 1) to +(2^(bits-1) - 1), so that +-1 are codes and the transfer is odd.
    `bits=None` clips but does not quantise.
    """

    bits: int | None = 12

    def __post_init__(self) -> None:
        if self.bits is not None and not 2 <= self.bits <= 32:
            raise InputError(f"converter bits is {self.bits}; allowed: 2 to 32, or none for an ideal converter")

    @property
    def step(self) -> float:
        """Distance between two codes in full scales; 0 for an ideal converter."""
        return 0.0 if self.bits is None else 1.0 / (2 ** (self.bits - 1) - 1)

    @property
    def noise_variance(self) -> float:
        """Quantisation noise per complex sample, two rails of step^2/12 each."""
        return self.step**2 / 6.0

    def convert(self, samples: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], int]:
        """Quantised samples (same shape), and how many samples had a rail beyond full scale."""
        rails = np.array(samples, dtype=np.complex128, order="C").view(np.float64)
        limit = 1.0 + 1e-12  # rounding of a full-scale tone is not clipping
        clipped = 0
        if rails.size and not (rails.max() <= limit and rails.min() >= -limit):
            clipped = int((np.abs(rails) > limit).reshape(-1, 2).any(axis=1).sum())
            np.clip(rails, -1.0, 1.0, out=rails)
        if self.bits is not None:
            rails *= 2 ** (self.bits - 1) - 1
            np.rint(rails, out=rails)
            rails *= self.step
        return rails.view(np.complex128), clipped
