"""How a signed payload becomes received energies that are never negative, and back.

A payload x in [-X, X] becomes one or two codewords c in [0, 1]; a device sends the energy `c` in each of the mapping's
slots, the receiver adds the devices up and decodes.

    signed     (max(x, 0), max(-x, 0)) / X      sum = X (E_1 - E_2)
    augmented  (X + x, X - x) / 2X              sum = X (E_1 - E_2)
    affine     (x + X) / 2X                     sum = 2X (E_1 - floor - n/2), n active devices

E is the energy per codeword unit. The differences cancel whatever both slots share: noise floor, DC, a steady
interferer; `affine` must know floor and n, but needs one slot only, so that it integrates twice as long in the same
time.

Sources. `affine` and `augmented` are the two mappings that Dahl, Chen, Larsson, "A Unified Framework for Unbiased
Non-Coherent Over-the-Air Computation" (arXiv 2605.28453), compare. Only its abstract could be read: that an augmented
mapping repairs the affine one by a second codeword is taken from there, that the second codeword is the complement is
our reading. `signed` is the pair of REED (Chen, Bozorgasl, arXiv 2605.07263; abstract): positive and negative parts on
paired orthogonal resources, subtracted. REED proper also calibrates on average channel powers only, which is a matter
of sounding, not of mapping: see `EnergyAir.average_power`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError

MappingName = Literal["signed", "augmented", "affine"]


@dataclass(frozen=True)
class Mapping:
    """One of the mappings above."""

    name: MappingName = "signed"

    def __post_init__(self) -> None:
        if self.name not in ("signed", "augmented", "affine"):
            raise InputError(f"mapping is {self.name!r}; allowed: signed, augmented, affine")

    @property
    def slots(self) -> int:
        """Codewords per payload: slots of the air that one scalar takes."""
        return 1 if self.name == "affine" else 2

    @property
    def slope(self) -> float:
        """Payload in units of its peak per unit of codeword sum, so the error of the sum per error of an energy."""
        return 2.0 if self.name == "affine" else 1.0

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Codewords (..., slots) of values (...) = x / X. Never negative; above 1 where |x| > X."""
        if self.name == "signed":
            pair = (np.maximum(values, 0.0), np.maximum(-values, 0.0))
        elif self.name == "augmented":
            pair = (np.maximum((1.0 + values) / 2.0, 0.0), np.maximum((1.0 - values) / 2.0, 0.0))
        else:
            return np.maximum((1.0 + values) / 2.0, 0.0)[..., None]
        return np.stack(pair, axis=-1)

    def decode(
        self,
        energies: NDArray[np.float64],
        unit: NDArray[np.float64] | float,
        floor: NDArray[np.float64] | float,
        active: NDArray[np.intp] | int,
    ) -> NDArray[np.float64]:
        """Sum of the values (...) from mean powers (..., slots).

        Args:
            energies: mean received power of each slot, noise included.
            unit: received power of the codeword 1, common to all devices.
            floor: mean power with everybody off.
            active: number of devices that sent.
        """
        if self.name == "affine":
            return np.asarray(2.0 * ((energies[..., 0] - floor) / unit - active / 2.0))
        return np.asarray((energies[..., 0] - energies[..., 1]) / unit)
