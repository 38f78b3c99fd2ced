"""Random-phase sequences: unit modulus, white, distinct for every device and slot, drawn from a public seed.

Energies of independent sequences add; what is left of their cross terms averages out as 1/M. They are public: nobody's
privacy rests on a secret phase.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.streams import stream

_CIRCLE = np.exp(2j * np.pi * np.arange(256) / 256)


def random_phases(seed: int, devices: int, length: int, *names: str | int) -> NDArray[np.complex128]:
    """(K, length) symbols of the unit circle, uniform over its 256th roots, a pure function of (seed, length, names).

    Row k is device k's, whatever K: a device needs no more than its own number.
    """
    draws = np.frombuffer(stream(seed, "random phases", *names).bytes(devices * length), dtype=np.uint8)
    return np.asarray(_CIRCLE[draws.reshape(devices, length)])
