"""A unit's reference: the crystal that its carriers and its sampling clock are made from."""

from __future__ import annotations

import math

from radio.impairments import Impairments
from radio.streams import stream

NOMINAL_HZ = 40_000_000
PERIOD_S = 600.0  # of the wander: a room's temperature, a fan, the sun


class Reference:
    """A 40 MHz crystal, off by a fixed part and a slow one:

        ppm(t) = ppm + w sin(2 pi t / T + phi),   w = |drift| T / (2 pi),   T = 10 min

    so that the drift of `Impairments` (normal, drawn for each unit) is its steepest, and it stays bounded however long the
    emulator runs. With a shared clock both are 0.

    `correction` is what the unit believes its crystal to be (`xo_correction`): it tunes as if that were true.
    """

    def __init__(self, settings: Impairments, seed: int, unit: int) -> None:
        draws = stream(seed, "emulator", "reference", unit)
        one, two, three = draws.uniform(-1.0, 1.0), draws.standard_normal(), draws.random()
        free = not settings.shared_clock
        self.offset_ppm = settings.oscillator_ppm * float(one) if free else 0.0
        drift = settings.drift_ppm_per_s * float(two) if free else 0.0
        self._wander_ppm = abs(drift) * PERIOD_S / (2.0 * math.pi)
        self._phase = 2.0 * math.pi * float(three)
        self.correction_hz = NOMINAL_HZ

    @property
    def tuning(self) -> float:
        """What frequencies are multiplied with because the unit believes in its correction."""
        return NOMINAL_HZ / self.correction_hz

    def warmth(self, seconds: float) -> float:
        """Where the wander is, -1 to 1."""
        return math.sin(2.0 * math.pi * seconds / PERIOD_S + self._phase)

    def ppm(self, seconds: float) -> float:
        """How far off the crystal is at this time, without the correction."""
        return self.offset_ppm + self._wander_ppm * self.warmth(seconds)

    def lead(self, seconds: float) -> float:
        """Seconds by which a clock on this crystal has run ahead of the true one since 0."""
        if self._wander_ppm == 0.0:
            return 1e-6 * self.offset_ppm * seconds
        turn = 2.0 * math.pi / PERIOD_S
        wander = self._wander_ppm * (math.cos(self._phase) - math.cos(turn * seconds + self._phase)) / turn
        return 1e-6 * (self.offset_ppm * seconds + wander)


def tunable(frequency_hz: float) -> float:
    """The frequency an AD936x's fractional divider comes closest to `frequency_hz` with.

    VCO (6 to 12 GHz) = 80 MHz (N + F / 8388593), divided by a power of two: steps of 1.2 to 4.8 Hz.
    """
    divider = 2.0 ** math.ceil(math.log2(6e9 / frequency_hz))
    step = 2 * NOMINAL_HZ / 8388593 / divider
    return round(frequency_hz / step) * step
