"""The lowest seam: one transceiver, simulated or real."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Radio(Protocol):
    """One transceiver. Samples are complex baseband, each rail in [-1, 1] = converter full scale.

    A second `transmit` replaces the first. A radio that is closed, or whose program leaves through an exception,
    must be silent: a cyclic transmission nobody looks after is an emission.
    """

    lo_hz: float
    rate_sps: float
    transmit_gain_db: float
    receive_gain_db: float

    @property
    def clock_samples(self) -> int:
        """Index of the sample the next `receive` begins with, on a clock common to one round's slots."""
        ...

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        """Start sending `samples` (N,) with the next reception; for ever if `cyclic`, else once."""
        ...

    def receive(self, n: int) -> NDArray[np.complex128]:
        """The next `n` samples (n,) of the receiver, ADC full scale = 1."""
        ...

    def mute(self) -> None:
        """Send nothing from now on. Safe to call at any time and more than once."""
        ...

    def close(self) -> None:
        """Mute and give the device back. Safe to call more than once."""
        ...
