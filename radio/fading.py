"""Block fading: complex gains that hold for `coherence_rounds` rounds, then are drawn afresh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.streams import stream

FadingKind = Literal["rayleigh", "rician", "static"]


@dataclass(frozen=True)
class Fading:
    """Narrow-band block fading of unit mean power, times path loss.

    rayleigh  h ~ CN(0, 1)
    rician    h = sqrt(k/(k+1)) e^{j phi} + sqrt(1/(k+1)) CN(0, 1), k = 10^(rician_k_db/10)
    static    h = e^{j phi}

    phi is one phase per device for the whole experiment (the line of sight does not move).
    """

    devices: int
    seed: int
    kind: FadingKind = "rayleigh"
    rician_k_db: float = 6.0
    path_loss_db: float | Sequence[float] = 0.0
    coherence_rounds: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("rayleigh", "rician", "static"):
            raise InputError(f"fading is {self.kind!r}; allowed: rayleigh, rician, static")
        if self.devices < 1:
            raise InputError(f"devices is {self.devices}; at least 1 is needed")
        if self.coherence_rounds < 1:
            raise InputError(f"coherence_rounds is {self.coherence_rounds}; at least 1 is needed")
        loss = np.atleast_1d(np.asarray(self.path_loss_db, dtype=np.float64))
        if loss.shape not in ((1,), (self.devices,)) or not np.all(np.isfinite(loss)):
            raise InputError(
                f"path_loss_db has {loss.size} value(s) {loss.tolist()}; allowed: one finite number, "
                f"or one for each of the {self.devices} devices"
            )
        if not math.isfinite(self.rician_k_db):
            raise InputError(f"rician_k_db is {self.rician_k_db}; allowed: a finite number of dB (or fading 'static')")

    @property
    def mean_power(self) -> NDArray[np.float64]:
        """(K,) E|h_k|^2, path loss included."""
        loss = np.broadcast_to(np.asarray(self.path_loss_db, dtype=np.float64), (self.devices,))
        return 10.0 ** (-loss / 10.0)

    def gains(self, round_index: int) -> NDArray[np.complex128]:
        """(K,) complex amplitude gains of the block that `round_index` lies in."""
        los = np.exp(2j * np.pi * stream(self.seed, "fading", "line of sight").random(self.devices))
        if self.kind == "static":
            unit = los
        else:
            draws = stream(self.seed, "fading", "block", round_index // self.coherence_rounds)
            scatter = draws.standard_normal((self.devices, 2)) @ np.array([1.0, 1j]) / math.sqrt(2.0)
            factor = 10.0 ** (self.rician_k_db / 10.0) if self.kind == "rician" else 0.0
            unit = math.sqrt(factor / (factor + 1.0)) * los + math.sqrt(1.0 / (factor + 1.0)) * scatter
        return np.asarray(np.sqrt(self.mean_power) * unit, dtype=np.complex128)
