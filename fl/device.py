"""One device: its private examples, its secret, its ledger.  Nothing computed from the examples leaves but the payload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fl.guarantee import mechanism_at, own_noise
from fl.likelihood import Encoded
from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.ledger import Ledger
from privacy.mechanism import OwnNoise
from privacy.noise import Secret
from privacy.sampling import poisson_batch
from privacy.threats import OWN_NOISE, Threat


@dataclass(frozen=True)
class Device:
    """Private state of one device.

    examples   the device's own data, tokenised
    rate       q, the public sampling rate common to all devices
    grid       clip, grid and fixed denominator
    mechanism  own noise and what a release costs; None when privacy is off
    schedule   the charge of every release, where they differ; the mechanism is then of the least noise
    threat     whose noise counts besides: how much of the mechanism's noise this device adds itself
    ledger     charged and synced before every transmission; None when privacy is off
    signs      transmit the sign of the noised value (`learning.payload`)

    A release has a number, by which it is charged: the slot, or slot * L + l for local step l of L.
    """

    name: str
    examples: Sequence[Encoded]
    rate: float
    grid: Grid
    secret: Secret
    mechanism: OwnNoise | None = None
    ledger: Ledger | None = None
    signs: bool = False
    threat: Threat = OWN_NOISE
    schedule: tuple[Charge, ...] = ()

    @property
    def noise_std(self) -> float:
        """Standard deviation of the own noise on each scalar where nobody else's counts, payload units; the least of all
        releases."""
        return 0.0 if self.mechanism is None else self.mechanism.noise_std

    def mechanism_at(self, release: int) -> OwnNoise | None:
        """The mechanism of one release; None when privacy is off."""
        return None if self.mechanism is None else mechanism_at(self.mechanism, self.schedule, release)

    def floor(self, active: int, release: int = 0) -> OwnNoise | None:
        """The least noise that this device adds to one release as one of `active`; None for none."""
        mechanism = self.mechanism_at(release)
        return None if mechanism is None else own_noise(mechanism, self.threat, active)

    def batch(self, release: int) -> list[Encoded]:
        """A secret Poisson batch, fresh for every release."""
        drawn = poisson_batch(self.secret.stream("slot", release, "batch"), len(self.examples), self.rate)
        return [self.examples[i] for i in drawn]

    def can_charge(self, releases: int = 1, first: int = 0) -> bool:
        """Whether the budget holds `releases` more like release number `first` (those of a slot are alike)."""
        mechanism = self.mechanism_at(first)
        if self.ledger is None or mechanism is None:
            return True
        return not self.ledger.would_exceed(mechanism.charge, releases)

    def charge(self, run_id: str, release: int) -> None:
        """Charge one release, durably.  Raises BudgetError if it would overspend."""
        mechanism = self.mechanism_at(release)
        if self.ledger is not None and mechanism is not None:
            self.ledger.charge(run_id, release, mechanism.charge, in_order=bool(self.schedule))

    def release(
        self, run_id: str, release: int, projections: NDArray[np.float64], active: int = 1, proposed: float = 0.0
    ) -> NDArray[np.float64]:
        """Charge, then the payload to transmit, (P,), from the batch's projections (n, P).

        active    devices announced to take part, this one included; they matter only where their noise counts
        proposed  standard deviation of the noise that the server proposes; the larger of it and the own floor is added

        The charge is durable before the noise is drawn.  Raises BudgetError, and sends nothing, if it would overspend.
        """
        self.charge(run_id, release)
        return self.payload(release, projections, active, proposed)

    def payload(
        self, release: int, projections: NDArray[np.float64], active: int = 1, proposed: float = 0.0
    ) -> NDArray[np.float64]:
        """x = p + n, or its sign, (P,).  The release must have been charged.

        Sign-pAirZero (arXiv 2604.12401 eq. 11) sends sign(p) + n; here the sign is taken of p + n, so that it is
        post-processing of a released number: one bit of constant size on the air, and no second noise.
        """
        floor = self.floor(active, release)
        if floor is None:
            value = self.grid.payload(self.grid.project(projections))
        else:
            value = floor.release(projections, self.secret.stream("slot", release, "noise"), proposed)
        return self._sign(release, value) if self.signs else value

    def _sign(self, release: int, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """+-1; a zero, which an empty batch without noise gives, falls by a secret fair coin."""
        coins = np.frombuffer(self.secret.stream("slot", release, "sign").bytes(len(value)), np.uint8) & 1
        return np.where(value == 0.0, 1.0 - 2.0 * coins, np.sign(value))

    def clean(self, projections: NDArray[np.float64]) -> NDArray[np.float64]:
        """The payload before noise, zero where its sign is undecided.  NOT PRIVATE: for diagnostics of a simulation."""
        value = self.grid.payload(self.grid.project(projections))
        return np.sign(value) if self.signs else value
