"""What one device does to its numbers in one round: sum on the grid, add its own noise, hand over the payload.

Only the noise added here counts towards the guarantee (the own-noise threat): not the receiver's, not the other
devices', not the fading. So the guarantee holds against an observer anywhere, for any channel, and whoever
colludes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy.accounting import Charge
from privacy.grid import STEPS_PER_CLIP, Grid
from privacy.noise import Secret, discrete_gaussian, sigma_steps
from radio.errors import InputError


@dataclass(frozen=True)
class OwnNoise:
    """The mechanism of one device, fixed before the run.

    grid     clip, denominator and saturation
    scalars  P, perturbations a round; together they are one release of sensitivity sqrt(P) clip / B
    charge   what each round costs, whatever P is
    """

    grid: Grid
    scalars: int
    charge: Charge
    sigma_steps: int = field(init=False)

    def __post_init__(self) -> None:
        if self.scalars < 1:
            raise InputError(f"a round of {self.scalars} perturbations; allowed: 1 or more")
        # P 4^20 is the squared sensitivity in grid steps; rounding sigma up makes the real noise no weaker than
        # the charged one.
        sigma = sigma_steps(self.charge.noise_multiplier, self.scalars * STEPS_PER_CLIP**2)
        object.__setattr__(self, "sigma_steps", sigma)

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on each scalar, in payload units: multiplier * sqrt(P) * clip / B."""
        return self.sigma_steps * self.grid.step

    def clean(self, values: ArrayLike) -> NDArray[np.float64]:
        """The payload without noise, (P,), from values (n, P). NEVER leaves the device; for diagnostics in
        simulation only."""
        return self.grid.payload(self.grid.project(values))

    def release(self, values: ArrayLike, secret: Secret) -> NDArray[np.float64]:
        """Payload to transmit, (P,), from the per-example projections (n, P). Charge the ledger first.

        An empty batch (0, P) still sends noise: silence would tell that nobody took part.
        """
        steps = self.grid.project(values)
        if steps.shape != (self.scalars,):
            raise ValueError(f"{steps.shape[0]} perturbations; the mechanism was set up for {self.scalars}")
        return self.grid.payload(steps + discrete_gaussian(self.sigma_steps, self.scalars, secret))
