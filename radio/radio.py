"""The lowest seam: one transceiver, simulated or real."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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
        """Index of the sample after the last one received, on a clock common to one round's slots.

        The next reception of a simulated radio begins there, that of a real one some time later.
        """
        ...

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        """Start sending `samples` (N,) with the next reception; for ever if `cyclic`, else once."""
        ...

    def receive(self, n: int) -> NDArray[np.complex128]:
        """`n` samples (n,) of the receiver that arrive from now on, ADC full scale = 1; NaN where they were lost."""
        ...

    def mute(self) -> None:
        """Send nothing from now on. Safe to call at any time and more than once."""
        ...

    def close(self) -> None:
        """Mute and give the device back. Safe to call more than once."""
        ...


def clock_epoch(radio: Radio) -> int:
    """Which stretch of an unbroken `clock_samples` this is. A radio that cannot lose count need not say: 0."""
    return int(getattr(radio, "clock_epoch", 0))


@runtime_checkable
class WeighableRadio(Radio, Protocol):
    """A transceiver whose running cyclic transmission can be scaled without a restart.

    A start over USB is late by an unknown time; scaling leaves start and phase as they are. The AD9361 cores of ADI have
    such a stage behind the DMA (`calibscale`, `calibphase` of the transmit channels).
    """

    @property
    def holding(self) -> bool:
        """Whether a cyclic transmission runs: not after a mute, nor where the radio was lost since it began."""
        ...

    def weigh(self, value: complex) -> None:
        """Send `value` times the samples handed to `transmit`; settled within a guard time of milliseconds."""
        ...
