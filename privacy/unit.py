"""The unit of privacy: what may change between two data sets that an observer must not tell apart.

`example`  One training example more or less. Secret Poisson batches hide who took part, so sampling amplifies: a round is
           charged at the rate q. An example moves each scalar by at most the clip over the denominator.
`device`   All data of one device, replaced by any other. A payload may then swing from one limit to the other, 2C a scalar,
           and nothing is hidden by sampling, because the device sends in every round: a round is charged at q = 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from privacy.grid import STEPS_PER_CLIP, Grid
from privacy.sampling import accounted_rate
from radio.errors import InputError


@dataclass(frozen=True)
class Unit:
    """One of `UNITS`.

    adjacency  how neighbouring data sets differ
    amplified  secret Poisson sampling of examples counts
    """

    name: str
    adjacency: str
    amplified: bool

    def __str__(self) -> str:
        return f"{self.name}, {self.adjacency}"

    def sensitivity_squared(self, grid: Grid, scalars: int) -> int:
        """Squared L2 distance, in grid steps, that a neighbouring data set can move the `scalars` sums of one release;
        exact. Clipping is per scalar, so P scalars move together: P reach^2."""
        if scalars < 1:
            raise InputError(f"a release of {scalars} scalars; allowed: 1 or more")
        reach = STEPS_PER_CLIP if self.amplified else 2 * grid.limit_steps
        return scalars * reach**2

    def sensitivity_steps(self, grid: Grid, scalars: int) -> float:
        """The L2 distance itself in grid steps, rounded up."""
        squared = self.sensitivity_squared(grid, scalars)
        root = math.sqrt(squared)
        while Fraction(root) ** 2 < squared:
            root = math.nextafter(root, math.inf)
        return root

    def sensitivity(self, grid: Grid, scalars: int) -> float:
        """The same in payload units, rounded up: sqrt(P) clip / B for an example, sqrt(P) 2C for a device."""
        return math.nextafter(self.sensitivity_steps(grid, scalars) * grid.step, math.inf)

    def grid(self, clip: float, denominator: float, saturation: float = 1.0) -> Grid:
        """What a device sums on. Where a device is protected its payload saturates at the clip. Where single examples are,
        that costs no noise: it saturates at `saturation` times the largest mean of a batch of the expected size, which is
        the clip, or clip/B where less than one is expected and a whole one is sent now and then."""
        return Grid(clip, denominator, saturation * clip / min(1.0, denominator) if self.amplified else clip)

    def charged_rate(self, rate: float) -> float:
        """Sampling rate to charge a round with when every example joins its batch with probability `rate`."""
        charged = accounted_rate(rate)
        return charged if self.amplified else 1.0


EXAMPLE = Unit("example", "add or remove one", amplified=True)
DEVICE = Unit("device", "replace all data of one", amplified=False)
UNITS = {unit.name: unit for unit in (EXAMPLE, DEVICE)}


def unit_named(name: str) -> Unit:
    """Raises InputError for an unknown name."""
    try:
        return UNITS[name]
    except KeyError:
        raise InputError(f"unit of privacy is {name!r}; allowed: {', '.join(UNITS)}") from None
