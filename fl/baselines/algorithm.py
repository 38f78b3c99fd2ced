"""What an algorithm is to the comparison: rounds on a common setting, each with its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

FLOAT_BITS = 32  # a digital number
SEED_BITS = 32


@dataclass(frozen=True)
class Cost:
    """What was spent, all devices together.

    forwards       examples through a forward pass; a secret batch counts with its expected size, as its real one stays secret
    passes         forward passes, each over a whole batch
    backwards      examples through a backward pass
    uplink_uses    analog channel uses, shared by all who transmit at the same time; one real number takes one, but in modes
                   that need more (`radio.air.Mode.channel_uses`)
    uplink_bits    digital bits, summed over the devices that send
    downlink_bits  digital bits, summed over the devices that receive

    Payload only: pilots, headers, coding and the seeds that everybody derives from the experiment's own are left out for all
    alike.
    """

    forwards: float = 0.0
    passes: float = 0.0
    backwards: float = 0.0
    uplink_uses: int = 0
    uplink_bits: int = 0
    downlink_bits: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forwards + other.forwards,
            self.passes + other.passes,
            self.backwards + other.backwards,
            self.uplink_uses + other.uplink_uses,
            self.uplink_bits + other.uplink_bits,
            self.downlink_bits + other.downlink_bits,
        )


class Algorithm(Protocol):
    """Constructed from a `fl.baselines.setting.Setting`, whose weights it trains."""

    def round(self, t: int) -> Cost:
        """Carry out round t = 0, 1, ...: the setting's weights are afterwards what everybody holds."""
        ...
