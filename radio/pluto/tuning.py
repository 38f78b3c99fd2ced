"""How one unit is set: rate, LO and receive gain, remembered so that a unit that is opened anew can be set as it was."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from radio.pluto.permit import TransmitPermit
from radio.pluto.unit import Unit

CALIBRATION_STEP_HZ = 100e6  # LO moves beyond this calibrate the transmitter, at near full drive
LO_TOLERANCE_HZ = 10.0  # two steps of the synthesiser

_log = logging.getLogger(__name__)


class Tuning:
    """See the module. Whoever changes LO or rate mutes the unit first.

    Args:
        unit: open; `restore` gives another one later.
        permit: None: the unit only listens, so its transmit LO is left alone.

    Attributes:
        rate_sps, lo_hz, receive_gain_db: as set, or as found in the unit.
    """

    def __init__(self, unit: Unit, permit: TransmitPermit | None) -> None:
        self._unit, self._permit = unit, permit
        self._rate_set = False
        self._told_hz: float | None = None
        unit.set("gain_mode", "manual")
        self.rate_sps = unit.get_number("rate")
        self.lo_hz = unit.get_number("receive_lo" if permit is None else "transmit_lo")
        self.receive_gain_db = unit.get_number("receive_gain")

    def check_lo(self, value: float) -> None:
        """Raises PlutoError outside the unit's range, PermitError outside the permitted band."""
        self._unit.check("receive_lo", value)
        if self._permit is not None:
            self._unit.check("transmit_lo", value)
            self._permit.check_band(self._unit.name, value, self.rate_sps if self._rate_set else 0.0)

    def calibrates(self, lo_hz: float) -> bool:
        """Whether moving to `lo_hz` makes the transmitter radiate its calibration; a virtual unit radiates nothing."""
        if self._permit is None or self._unit.virtual:
            return False
        return abs(lo_hz - self._unit.get_number("transmit_lo")) > CALIBRATION_STEP_HZ

    def set_lo(self, value: float) -> None:
        unit = self._unit
        if self._permit is not None:
            if value != self._told_hz:
                announce_calibration([self], value)
            unit.set("transmit_lo", str(round(value)))
            unit.set("transmit_lo_off", "1")
        unit.set("receive_lo", str(round(value)))
        self.lo_hz = float(value)

    def has_rate(self, value: float) -> bool:
        """Whether this rate has been set, not just found."""
        return self._rate_set and value == self.rate_sps

    def set_rate(self, value: float) -> None:
        """Of both directions, with the FIR filter that it needs, and the analog bandwidths as near to it as they go."""
        unit = self._unit
        with unit.asking(f"set the rate to {value:g}"):
            unit.sdr.sample_rate = round(value)
        for name in ("receive_bandwidth", "transmit_bandwidth")[: 1 if self._permit is None else 2]:
            allowed = unit.range(name)
            unit.set(name, str(round(min(max(value, allowed.low), allowed.high))))
        self.rate_sps, self._rate_set = float(value), True

    def set_receive_gain(self, value: float) -> None:
        self._unit.check("receive_gain", value)
        # In automatic mode the unit takes a gain and ignores it.
        self._unit.set("gain_mode", "manual")
        self._unit.set("receive_gain", f"{value:g}")
        self.receive_gain_db = float(value)

    def restore(self, unit: Unit) -> None:
        """From now on this unit, set as the one before; what it has kept is not set again."""
        self._unit, self._told_hz = unit, None
        unit.set("gain_mode", "manual")
        if self._rate_set and abs(unit.get_number("rate") - self.rate_sps) > 1.0:
            self.set_rate(self.rate_sps)
        los = ("receive_lo",) if self._permit is None else ("receive_lo", "transmit_lo")
        if any(abs(unit.get_number(name) - self.lo_hz) > LO_TOLERANCE_HZ for name in los):
            self.set_lo(self.lo_hz)
        if unit.get_number("receive_gain") != self.receive_gain_db:
            self.set_receive_gain(self.receive_gain_db)


def announce_calibration(tunings: Sequence[Tuning], lo_hz: float) -> None:
    """One warning for all whose transmitters tuning to `lo_hz` will calibrate; they are then tuned without another."""
    loud = [tuning._unit.name for tuning in tunings if tuning.calibrates(lo_hz)]
    for tuning in tunings:
        tuning._told_hz = lo_hz
    if loud:
        _log.warning(
            "%s: moving the transmit LO to %.6g MHz calibrates the transmitter, which radiates for some milliseconds at near "
            "full power; keep antennas and amplifiers off meanwhile",
            ", ".join(loud), lo_hz / 1e6,
        )  # fmt: skip
