"""A device's own transmitter at a station: what it takes of the station file, and what becomes of a cue that fails.

Every way out mutes: a failed cue, the end of this object, and that of the process (`radio.pluto.exits`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment
from fl.lab.messages import Cue, Propose, Tuned
from fl.station import check_air, permit_of
from fl.station_air import FAILURES_IN_A_ROW, RadioStop
from radio import cue as cues
from radio.errors import InputError
from radio.modulator import Payload, modulator_of
from radio.pluto.driver import ConnectionLost, PlutoError, UnitBusy
from radio.pluto.permit import PermitError
from radio.station import StationFile, load_station, open_device, reference_hz, require_weights
from radio.transmitter import Transmitter


class DeviceRadio:
    """See the module; open from the start, and silent.

    name      of the device, as `radio.station.StationFile.names` has it
    station   file
    allow_tx  see `fl.station.permit_of`
    say       gets lines for a person

    Raises InputError where the station has no such device, its radio is missing, or nothing permits it to transmit.
    """

    def __init__(self, name: str, station: Path, allow_tx: bool, say: Callable[[str], None]) -> None:
        file = load_station(station)
        if name not in file.names:
            raise InputError(
                f"{station} has no device {name!r}; it has {', '.join(file.names)}. Give the [[device]] that this one is "
                f"name = {name!r}, or start it under the other name"
            )
        index = file.names.index(name)
        own = file.model_copy(update={"device": file.device[index : index + 1]})
        self._file: StationFile = own
        self._say = say
        self._radio = open_device(own, 0, permit_of(own, allow_tx))
        self._transmitter: Transmitter | None = None
        self._in_a_row = 0
        self.failure: RadioStop | None = None  # for good

    @property
    def serial(self) -> str:
        return self._radio.serial

    @property
    def virtual(self) -> bool:
        """Whether it is one of `pairzero emulate`."""
        return self._radio.unit.virtual

    @property
    def tuned(self) -> Tuned:
        station = self._file.station
        return Tuned(station.lo_hz, station.rate_sps, station.clock, reference_hz(self._radio))

    @property
    def temperature_c(self) -> float | None:
        """Of the transceiver; None where it does not tell just now."""
        try:
            return self._radio.unit.temperatures()["transceiver"]
        except PlutoError:
            return None

    def prepare(self, experiment: Experiment, index: int) -> None:
        """For the mode of the experiment and this device's place in it. Raises InputError for what this radio cannot do."""
        check_air(experiment, self._file)
        settings = experiment.radio
        assert settings.mapping != "reed", "see check_air"
        if settings.mode == "coherent":
            require_weights(self._radio)
        modulator = modulator_of(
            settings.mode,
            experiment.learning.devices,
            experiment.run.seed,
            window=settings.window,
            pilot_window=settings.pilot_window,
            mapping=settings.mapping,
        )
        self._transmitter = Transmitter(self._radio, index, modulator, alike=True)

    def load(self, propose: Propose, values: NDArray[np.float64]) -> None:
        """What the owner has released for the slot, and how loud it may be."""
        assert self._transmitter is not None, "prepare comes first"
        self._transmitter.load(Payload(values, complex(*propose.precoder), propose.payload_peak))

    def perform(self, cue: Cue) -> tuple[bool, bool]:
        """Whether the cue was carried out, and whether a tone had to be started for it."""
        assert self._transmitter is not None, "prepare comes first"
        wanted = cues.Cue(cue.kind, cue.slot, cue.scalar, cue.codeword, cue.level)
        try:
            started = self._transmitter.obey(wanted)
        except InputError as error:
            self._suffer(error, cue)
            return False, False
        if cue.kind == "payload":
            self._in_a_row = 0
        return True, started

    def _suffer(self, error: InputError, cue: Cue) -> None:
        self.mute()
        self._in_a_row += 1
        self._say(f"slot {cue.slot}: {error}")
        final = isinstance(error, PlutoError | PermitError) and not isinstance(error, ConnectionLost | UnitBusy)
        if final or self._radio.unit.closed or self._in_a_row >= FAILURES_IN_A_ROW:
            self.failure = RadioStop(f"{error}; this radio is muted. Mend that, then start the device again")

    def mute(self) -> None:
        """Silence; what was loaded is gone."""
        if self._transmitter is not None:
            self._transmitter.load(None)
        with suppress(PlutoError):  # closing silences as well, whatever happens here
            self._radio.mute()

    def close(self) -> None:
        self._radio.close()

    def __enter__(self) -> DeviceRadio:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
