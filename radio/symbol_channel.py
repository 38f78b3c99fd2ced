"""What symbol fidelity knows of the air: gains by round, white noise, and nothing of waveforms or converters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.channel import Channel
from radio.errors import InputError
from radio.streams import stream


@dataclass(frozen=True)
class SymbolChannel:
    """Flat block fading of K devices with white noise, E|n|^2 = `noise_variance` per complex sample.

    Every draw of round t is a pure function of (seed, t, purpose).
    """

    fading: Channel
    noise_variance: float
    seed: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise_variance) and self.noise_variance >= 0.0):
            raise InputError(f"noise_variance is {self.noise_variance}; allowed: a finite number of at least 0")

    @property
    def devices(self) -> int:
        return self.fading.devices

    def gains(self, round_index: int) -> NDArray[np.complex128]:
        """(K,) complex gains of the round."""
        return self.fading.gains(round_index)

    def draws(self, round_index: int, phase: str) -> np.random.Generator:
        """The noise of one phase of a round."""
        return stream(self.seed, "symbol", phase, round_index)


def complex_normal(
    draws: np.random.Generator, shape: tuple[int, ...], variance: float | NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Circular Gaussian of E|n|^2 = `variance`."""
    pairs = draws.standard_normal((*shape, 2)).view(np.complex128)[..., 0]
    return np.asarray(np.sqrt(np.asarray(variance) / 2.0) * pairs)
