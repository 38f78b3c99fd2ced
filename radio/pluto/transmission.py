"""The sending half of one Pluto: what may be sent, what is being sent, and silence.

Samples become 12-bit codes here: clipped and counted, never wrapped (pyadi-iio would cast 40000 to -25536).
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from radio.converter import Converter
from radio.errors import InputError
from radio.pluto.driver import PlutoError
from radio.pluto.duty_book import DutyBook
from radio.pluto.permit import DutyMeter, PermitError, TransmitPermit
from radio.pluto.unit import Unit
from radio.pluto.weight import WeightStage

DAC_FULL_SCALE = 2047 << 4  # codes: 12 bits in the upper ones of 16; rounded here, because the hardware cuts
LARGEST_WAVE = 1 << 22  # samples: 16 MiB, the kernel's largest block

_log = logging.getLogger(__name__)


class Transmission:
    """See the module. It knows nothing of lost connections: its errors are `PlutoError`.

    Args:
        unit: open; `attach` gives another one later.
        permit: None: nothing may be sent, but in digital loopback.
        antenna_gain_dbi, cable_loss_db: behind the connector, for the radiated power.
    """

    def __init__(
        self, unit: Unit, permit: TransmitPermit | None, antenna_gain_dbi: float = 0.0, cable_loss_db: float = 0.0
    ) -> None:
        self.permit = permit
        self.gain_db = self.least_gain_db = unit.range("transmit_gain").low
        self.clipped = 0
        self.live = False  # weights are proved to act on a running transmission
        self.loopback = False
        self._antenna = (antenna_gain_dbi, cable_loss_db)
        # What a virtual unit sends is on no air, so nothing is left of it for the next run.
        book = None if unit.virtual else DutyBook(unit.serial or unit.uri)
        self._duty = DutyMeter(permit, book=book) if permit is not None else None
        self._converter = Converter(12)
        self._wave: NDArray[np.complex128] | None = None
        self._cyclic = False
        self._silent = False
        self.attach(unit)

    def attach(self, unit: Unit) -> None:
        """From now on this unit, of which nothing is known."""
        self._unit = unit
        self._stage = WeightStage(unit)
        self._ended()
        self._silent = self.loopback = False

    @property
    def running(self) -> bool:
        return self._wave is not None

    @property
    def holding(self) -> bool:
        """Whether what runs is cyclic, so that it can be weighed."""
        return self._wave is not None and self._cyclic

    def set_gain(self, gain_db: float) -> None:
        """Raises PlutoError outside the unit's range, PermitError beyond the permitted power."""
        self._unit.check("transmit_gain", gain_db)
        if self.permit is not None:
            self.permit.check_gain(self._unit.name, gain_db, *self._antenna)
        self.gain_db = float(gain_db)
        if self.running and not self.loopback:
            self._unit.set("transmit_gain", f"{gain_db:.2f}")

    def check(self, samples: NDArray[np.complex128], lo_hz: float, rate_sps: float) -> None:
        """Whether the samples are such that can be sent, and whether they may be. Raises PlutoError, PermitError."""
        name = self._unit.name
        if samples.ndim != 1 or not 0 < samples.size <= LARGEST_WAVE:
            raise PlutoError(f"{name}: samples have shape {samples.shape}; a vector of 1 to {LARGEST_WAVE} is needed")
        if not np.all(np.isfinite(samples)):
            raise PlutoError(f"{name}: a sample to be sent is not finite; nothing was sent")
        if self.loopback:
            return
        if self.permit is None or self._duty is None:
            raise PermitError(
                f"{name}: nothing permits this radio to transmit; state band, power and duty in the station file's [permit], "
                "or pass --allow-tx"
            )
        self.permit.check_band(name, lo_hz, rate_sps)
        self.permit.check_gain(name, self.gain_db, *self._antenna)
        self._duty.check(name)

    def check_duty(self, seconds: float) -> None:
        """Raises PermitError if that much more may not be sent now."""
        if self._duty is not None:
            self._duty.check(self._unit.name, seconds)

    def start(self, samples: NDArray[np.complex128], cyclic: bool) -> None:
        """Send what was checked, at weight 1."""
        unit = self._unit
        # A cyclic block of the DMA is a whole number of 8 bytes.
        wave = np.tile(samples, 2) if cyclic and samples.size % 2 else samples
        quantised, clipped = self._converter.convert(wave)
        unit.end_transmission()
        self._stage.set(1.0)
        self._wave, self._cyclic, self._silent = samples, cyclic, False
        with unit.asking("transmit"):
            if not self.loopback:
                unit.set("transmit_lo_off", "0")
            unit.sdr.tx_cyclic_buffer = cyclic
            unit.sdr.tx(np.rint(quantised * DAC_FULL_SCALE))
            if self._duty is not None and not self.loopback:
                self._duty.on()
                unit.set("transmit_gain", f"{self.gain_db:.2f}")
        self.clipped += clipped
        if clipped:
            _log.warning("%s: %d of %d samples were beyond DAC full scale and clipped", unit.name, clipped, wave.size)

    def weigh(self, value: complex) -> None:
        """Send `value` times the wave: live where that is proved, else by a new start. What would exceed full scale is
        limited, and the wave's samples are counted as clipped."""
        wave, name = self._wave, self._unit.name
        if wave is None or not self.holding:
            raise PlutoError(f"{name}: weigh, but no cyclic transmission runs; transmit first")
        if not np.isfinite(value):
            raise PlutoError(f"{name}: the weight is {value}; a finite number is needed")
        peak = float(np.abs(wave).max()) * abs(value)
        if peak > 1.0 + 1e-9:
            self.clipped += wave.size
            value /= peak
        if self._duty is not None and not self.loopback:
            if value == 0.0:
                self._duty.off()
            else:
                self._duty.check(name)
                self._duty.on()
        if self.live:
            self._stage.set(value)
        else:
            self.start(value * wave, True)
            self._wave = wave

    def stop(self) -> None:
        """Least gain, and nothing that could be sent."""
        if self._silent:
            return
        self._ended()
        try:
            self._unit.set("transmit_gain", f"{self.least_gain_db:.2f}")
        finally:
            self._unit.end_transmission()
            self._keep(always=False)
        self._silent = True

    def silence(self) -> None:
        """As `stop`, and everything else that could make a signal is switched off; whatever was thought to be known."""
        self._ended()
        self._unit.end_transmission()
        self._stage.forget()
        try:
            self._unit.silence()
        finally:
            self._keep()
        self.loopback, self._silent = False, True

    def enter_loopback(self) -> None:
        """What is sent comes back as received and is not radiated: least gain, transmit LO off."""
        self.silence()
        self._unit.set("loopback", "1")
        self.loopback, self._silent = True, False

    def _keep(self, always: bool = True) -> None:
        """After a transmission: silence has come first, and must not fail for want of a file."""
        if self._duty is not None:
            try:
                self._duty.keep(always)
            except InputError as error:
                _log.warning("%s: %s", self._unit.name, error)

    def _ended(self) -> None:
        self._wave = None
        if self._duty is not None:
            self._duty.off()
