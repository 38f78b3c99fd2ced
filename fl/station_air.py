"""The air of a station: what becomes of a round in which a radio fails.

A radio that stops answering is opened again by its serial number, silent (`radio.pluto.transceiver`); the slot in which that
happens is an erasure. When slot after slot fails, a radio does not come back, or one refuses (the permitted duty is used up),
the run stops in order, and can be resumed. Either way everybody is muted. A transmitter that is elsewhere and misses a cue
(`radio.cast.CueLost`) costs the slot and no more: its own process sees to its radio.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Explaining, Exposed, Mode, Received, SampledAir
from radio.cast import CueLost
from radio.errors import InputError, StoppedEarly
from radio.pluto.driver import ConnectionLost, PlutoError, UnitBusy
from radio.station import OpenStation

FAILURES_IN_A_ROW = 3  # slots; a cable that is touched costs one


class RadioStop(StoppedEarly):
    """A radio failed for good, or may not go on."""


class StationAir:
    """`Air` over the radios of an open station, which it closes with itself.

    Args:
        air: over those radios.
        station: open.
        remedy: how to go on after a radio has failed, the end of a message.

    Attributes:
        failures: slots lost to a failing radio so far.
    """

    def __init__(self, air: SampledAir, station: OpenStation, remedy: str = "") -> None:
        self.devices = air.devices
        self.failures = 0
        self._air = air
        self._station = station
        self._remedy = remedy
        self._in_a_row = 0
        self._failure = ""  # of this round's sounding

    @property
    def mode(self) -> Mode:
        return self._air.mode

    @property
    def on_air_samples(self) -> int:
        """See `radio.air.Exposed`; asked only of an air whose mode counts the receiver's noise."""
        assert isinstance(self._air, Exposed)
        return self._air.on_air_samples

    @property
    def faults(self) -> tuple[str, ...]:
        """See `radio.air.Explaining`."""
        return self._air.faults if isinstance(self._air, Explaining) and not self._failure else ()

    @property
    def virtual(self) -> bool:
        """Whether every radio is one of `pairzero emulate`: a simulation, then, in which nobody's data are at stake."""
        return all(radio.unit.virtual for radio in self._station.radios)

    def sound(self, round_index: int) -> ChannelState:
        """Where a radio fails nobody is trusted, so that nobody is charged for the slot. Raises RadioStop."""
        self._failure = ""
        try:
            return self._air.sound(round_index)
        except InputError as error:
            self._failure = self._suffer(error)
        nothing = np.full(self.devices, np.nan)
        return ChannelState(nothing.astype(np.complex128), nothing, nothing, 1.0, np.zeros(self.devices, bool))

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """Where a radio fails the slot is erased. Raises RadioStop."""
        return self._heard(payloads.shape[1], lambda: self._air.aggregate(round_index, payloads, plan))

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """As `aggregate`, of devices that have their payloads themselves."""
        return self._heard(scalars, lambda: self._air.receive(round_index, scalars, plan))

    def _heard(self, scalars: int, hear: Callable[[], Received]) -> Received:
        failure = self._failure
        if not failure:
            try:
                received = hear()
            except InputError as error:
                failure = self._suffer(error)
            else:
                self._in_a_row = 0
                return received
        nothing = np.full(scalars, np.nan)
        silent = np.full(self.devices, -np.inf)
        return Received(nothing, nothing, nothing, True, failure, np.zeros(self.devices, np.int64), silent)

    def _suffer(self, error: InputError) -> str:
        """The reason of an erasure; or RadioStop where there is no going on."""
        if isinstance(error, CueLost):
            return str(error)
        gone = any(radio.unit.closed for radio in self._station.radios)
        self._in_a_row += 1
        if isinstance(error, ConnectionLost | UnitBusy) and not gone and self._in_a_row < FAILURES_IN_A_ROW:
            self.failures += 1
            return str(error)
        with suppress(PlutoError):  # closing silences as well, whatever happens here
            for radio in self._station.transmitters:
                radio.mute()
        often = f" ({self._in_a_row} slots in a row)" if self._in_a_row > 1 else ""
        raise RadioStop(f"{error}{often}; all radios are muted{self._remedy}") from error

    def metadata(self) -> dict[str, Any] | None:
        """Of the radios, for a run's record; None where one of them does not answer."""
        try:
            return self._station.metadata()
        except PlutoError:
            return None

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        self._station.close()
