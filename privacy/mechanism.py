"""What one device does to its numbers in one round: sum on the grid, add its own noise, hand over the payload.

The noise is a discrete Gaussian of `noise multiplier` times the sensitivity of the privacy unit. Under the default threat
(own noise) all of it comes from this device and nothing else counts: not the receiver's noise, not the other devices', not
the fading. So the guarantee holds against an observer anywhere, for any channel, and whoever colludes. A threat that counts
noise of others lets a device add a `share` of the variance only; the guarantee is then that threat's, not this module's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.noise import LARGEST_SIGMA, Secret, discrete_gaussian, sigma_steps
from privacy.unit import EXAMPLE, Unit
from radio.errors import InputError


@dataclass(frozen=True)
class OwnNoise:
    """The mechanism of one device, fixed before the run. For a schedule of multipliers, `dataclasses.replace` its charge.

    grid         clip, denominator and saturation
    scalars      P, perturbations a round; together they are one release
    charge       what each round costs, whatever P is
    unit         whose sensitivity the charge's multiplier counts in
    share        of the variance that the charge stands for, the part which this device adds itself, above 0, at most 1;
                 below 1 only for a threat under which the noise of other devices or of the receiver makes up the rest
    sigma_steps  floor of the noise's standard deviation on each scalar, grid steps (computed)
    """

    grid: Grid
    scalars: int
    charge: Charge
    unit: Unit = EXAMPLE
    share: float = 1.0
    sigma_steps: int = field(init=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise InputError(f"a device's share of the noise is {self.share!r}; allowed: above 0, at most 1")
        if self.charge.sampling_rate < 1.0 and not self.unit.amplified:
            raise InputError(
                f"a charge at sampling rate {self.charge.sampling_rate:.6g} in the unit {self.unit.name}; allowed: 1, "
                "because sampling its examples does not hide a device"
            )
        squared = Fraction(self.share) * self.unit.sensitivity_squared(self.grid, self.scalars)
        # Rounding sigma up makes the real noise no weaker than the charged one.
        sigma = sigma_steps(self.charge.noise_multiplier, squared)
        if sigma >= LARGEST_SIGMA:
            raise InputError(
                f"the noise is {sigma * self.grid.step:.4g} in payload units, {sigma:.3g} grid steps; allowed: below "
                f"{LARGEST_SIGMA:.3g} steps. Raise epsilon, or lower the number of rounds, of perturbations or the batch"
            )
        object.__setattr__(self, "sigma_steps", sigma)

    @property
    def noise_std(self) -> float:
        """Floor of the noise's standard deviation on each scalar, in payload units: sqrt(share) * multiplier *
        sensitivity."""
        return self.sigma_steps * self.grid.step

    def clean(self, values: ArrayLike) -> NDArray[np.float64]:
        """The payload without noise, (P,), from values (n, P). NEVER leaves the device; for diagnostics in
        simulation only."""
        return self.grid.payload(self.grid.project(values))

    def release(self, values: ArrayLike, secret: Secret, noise_std: float | None = None) -> NDArray[np.float64]:
        """Payload to transmit, (P,), from the per-example projections (n, P). Charge the ledger first.

        noise_std  a proposed standard deviation, payload units; the larger of it and the own floor is used

        An empty batch (0, P) still sends noise: silence would tell that nobody took part. Raises InputError for a
        proposal that is not a number or beyond the sampler.
        """
        steps = self.grid.project(values)
        if steps.shape != (self.scalars,):
            raise ValueError(f"{steps.shape[0]} perturbations; the mechanism was set up for {self.scalars}")
        noise = discrete_gaussian(self._sigma(noise_std), self.scalars, secret)
        return self.grid.payload(steps + noise)

    def _sigma(self, proposed: float | None) -> int:
        if proposed is None or proposed <= self.noise_std:
            return self.sigma_steps
        sigma = proposed / self.grid.step
        if not sigma < LARGEST_SIGMA:  # not a number fails too
            raise InputError(
                f"proposed noise of standard deviation {proposed!r}; allowed: below {LARGEST_SIGMA * self.grid.step:.4g} "
                "in payload units"
            )
        return math.ceil(sigma)
