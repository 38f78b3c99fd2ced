"""The station file: the radios of one bench, where they may transmit, and how to open them (TOML).

    [station]
    name = "bench"
    clock = "shared"            # one 40 MHz reference for all radios, or "free"
    lo_hz = 868.3e6
    rate_sps = 1e6
    receive_gain_db = 20

    [permit]                    # left out: nothing transmits
    band_hz = [868.0e6, 868.6e6]
    max_eirp_dbm = -30
    duty = 0.01

    [receiver]
    serial = "104400..."        # or uri = "ip:192.168.2.1"; both: the unit there must have that serial

    [[device]]
    name = "alice"              # of the process that owns it (pairzero device alice); default: device-K, the K-th from 0
    uri = "ip:192.168.3.1"
    transmit_gain_db = -40
    cable_loss_db = 30

Every error names the file, the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from radio.cast import Cast
from radio.cell import EDGE_SAMPLES, Cell
from radio.errors import InputError
from radio.pluto.permit import FULL_SCALE_DBM, TransmitPermit
from radio.pluto.proof import prove_weight
from radio.pluto.transceiver import START_LAG_S, PlutoRadio, open_radio
from radio.pluto.tuning import announce_calibration
from radio.radio import Radio
from radio.reference import reference_misfit
from radio.toml_file import read_toml

CRYSTAL_PPM = 25.0  # of a Pluto's own oscillator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Unit(_Section):
    uri: Annotated[str, Field(min_length=1)] | None = None
    serial: Annotated[str, Field(min_length=1)] | None = None
    antenna_gain_dbi: Finite = 0.0
    cable_loss_db: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _named(self) -> _Unit:
        if self.uri is None and self.serial is None:
            raise ValueError("a radio needs a uri or a serial; list those there are with: pairzero radio find")
        return self

    @property
    def named(self) -> str:
        return " ".join(part for part in (self.uri, self.serial and f"serial {self.serial}") if part)


class Receiver(_Unit):
    pass


class Device(_Unit):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = (
        None  # of its key; default: device-K, K its place
    )
    transmit_gain_db: Annotated[float, Field(ge=-89.75, le=0)] | None = None  # default: that of [station]


class Station(_Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "station"
    clock: Literal["shared", "free"] = "free"
    lo_hz: Positive
    rate_sps: Positive = 1e6
    receive_gain_db: Finite
    transmit_gain_db: Annotated[float, Field(ge=-89.75, le=0)] = -89.75
    start_lag_s: Annotated[float, Field(ge=0, le=10)] = START_LAG_S  # latest start of a transmission
    kernel_blocks: Annotated[int, Field(ge=1, le=64)] = 4
    block_samples: Annotated[int, Field(ge=64, le=1 << 20)] = 4096
    drain: bool = False  # read the receiver without pause: units in real time whose coherent rounds must not lose count
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    crystal_ppm: Positive = CRYSTAL_PPM


class Permit(_Section):
    band_hz: tuple[Positive, Positive]
    max_eirp_dbm: Finite
    duty: Annotated[float, Field(gt=0, le=1)]
    duty_period_s: Positive = 3600.0

    @field_validator("band_hz")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("the band's ends must rise, for example [868.0e6, 868.6e6]")
        return value

    def transmit_permit(self) -> TransmitPermit:
        return TransmitPermit(*self.band_hz, self.max_eirp_dbm, self.duty, self.duty_period_s)


class StationFile(_Section):
    """One station; `path` says where it was read."""

    station: Station
    permit: Permit | None = None
    receiver: Receiver
    device: Annotated[tuple[Device, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> StationFile:
        units: list[_Unit] = [self.receiver, *self.device]
        for key in ("uri", "serial"):
            counts = Counter(value for unit in units if (value := getattr(unit, key)) is not None)
            twice = [value for value, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"{key} = {twice[0]!r} is named more than once; every radio has one role")
        if twice := [name for name, many in Counter(self.names).items() if many > 1]:
            raise ValueError(
                f"name = {twice[0]!r} is that of two devices; device-K is the K-th's, from 0, unless it has another"
            )
        if self.permit is not None:
            permit, station = self.permit.transmit_permit(), self.station
            try:
                permit.check_band("[station]", station.lo_hz, station.rate_sps)
                for k, device in enumerate(self.device):
                    gain = self.transmit_gain_db(device)
                    permit.check_gain(
                        f"device {k} ({device.named})", gain, device.antenna_gain_dbi, device.cable_loss_db
                    )
            except InputError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of the devices, as `pairzero device` takes them."""
        return tuple(device.name or f"device-{k}" for k, device in enumerate(self.device))

    def transmit_gain_db(self, device: Device) -> float:
        return self.station.transmit_gain_db if device.transmit_gain_db is None else device.transmit_gain_db

    def eirp_dbm(self, device: Device) -> float:
        """Of a full-scale tone."""
        return FULL_SCALE_DBM + self.transmit_gain_db(device) + device.antenna_gain_dbi - device.cable_loss_db

    @property
    def offset_max_hz(self) -> float:
        """Largest carrier offset between two radios: both crystals at their worst; 0 with one reference."""
        return 0.0 if self.station.clock == "shared" else 2e-6 * self.station.crystal_ppm * self.station.lo_hz

    def reception_s(self, n: int) -> float:
        """The radios' time for a reception of n samples: whole blocks, and those that are dropped before because they may
        hold older samples (`radio.pluto.stream`)."""
        station = self.station
        return (
            (station.kernel_blocks + 1 + math.ceil(n / station.block_samples))
            * station.block_samples
            / station.rate_sps
        )

    def cell(self, transmitters: Sequence[Radio] | Cast, receiver: Radio) -> Cell:
        """These radios with the station's starts, gain and offsets, for the airs; see `radio.cell`."""
        station = self.station
        return Cell(
            transmitters,
            receiver,
            rate_sps=station.rate_sps,
            guard_samples=int(station.start_lag_s * station.rate_sps) + EDGE_SAMPLES,
            late_starts=True,
            receive_gain_db=station.receive_gain_db,
            offset_max_hz=self.offset_max_hz,
        )


@dataclass(frozen=True)
class OpenStation:
    """Radios of a station, open and silent; a context manager that closes them all."""

    file: StationFile
    transmitters: tuple[PlutoRadio, ...]
    receiver: PlutoRadio
    listen: Callable[[Radio], Radio] | None = None

    @property
    def radios(self) -> tuple[PlutoRadio, ...]:
        """All of them, transmitters first."""
        return (*self.transmitters, self.receiver)

    def cell(self, cast: Cast | None = None) -> Cell:
        """For the airs, see `radio.cell`; over transmitters elsewhere where there is a `cast`."""
        receiver = self.receiver if self.listen is None else self.listen(self.receiver)
        return self.file.cell(self.transmitters if cast is None else cast, receiver)

    def metadata(self) -> dict[str, Any]:
        """For a run's record."""
        return {
            "station": self.file.station.name,
            "clock": self.file.station.clock,
            "receiver": self.receiver.metadata(),
            "devices": [radio.metadata() for radio in self.transmitters],
        }

    def close(self) -> None:
        """Silence and close every radio, even if one of them fails to obey; then report the first failure."""
        failure: Exception | None = None
        for radio in self.radios:
            try:
                radio.close()
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def __enter__(self) -> OpenStation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_station(
    file: StationFile,
    permit: TransmitPermit | None = None,
    *,
    listen: Callable[[Radio], Radio] | None = None,
    coherent: bool = False,
) -> OpenStation:
    """Open, tune and check every radio of a station; nothing is on the air yet.

    Args:
        file: the station.
        permit: default: the file's own; with neither, devices can be opened but not transmit.
        listen: what the receiver is wrapped in, for example a recorder.
        coherent: the air will be coherent, so every device must prove that it weighs a running transmission (in digital
            loopback, nothing is radiated).

    Raises InputError for a unit that is missing, has another serial number, or cannot do what is asked.
    """
    station = file.station
    if permit is None and file.permit is not None:
        permit = file.permit.transmit_permit()
    opened: list[PlutoRadio] = []
    try:
        opened.append(_open(file, file.receiver, None))
        for device in file.device:
            opened.append(_open(file, device, permit))
        receiver, *devices = opened
        if station.clock == "shared":
            check_one_reference(opened)
        announce_calibration([radio.tuning for radio in devices], station.lo_hz)
        for radio in opened:
            _tune(radio, station)
        receiver.receive_gain_db = station.receive_gain_db
        for device, radio in zip(file.device, devices, strict=True):
            radio.transmit_gain_db = file.transmit_gain_db(device)
            if coherent:
                require_weights(radio)
        return OpenStation(file, tuple(devices), receiver, listen)
    except BaseException:
        for radio in opened:
            radio.close()
        raise


def open_receiver(file: StationFile) -> PlutoRadio:
    """The station's receiver alone, tuned; for devices that are processes of their own. Raises as `open_station`."""
    receiver = _open(file, file.receiver, None)
    try:
        _tune(receiver, file.station)
        receiver.receive_gain_db = file.station.receive_gain_db
    except BaseException:
        receiver.close()
        raise
    return receiver


def open_device(file: StationFile, device: int, permit: TransmitPermit) -> PlutoRadio:
    """One device's transmitter alone, tuned and silent. Raises as `open_station`."""
    radio = _open(file, file.device[device], permit)
    try:
        announce_calibration([radio.tuning], file.station.lo_hz)
        _tune(radio, file.station)
        radio.transmit_gain_db = file.transmit_gain_db(file.device[device])
    except BaseException:
        radio.close()
        raise
    return radio


def require_weights(radio: PlutoRadio) -> None:
    """Raises InputError for a unit that cannot scale a running transmission, found out in digital loopback."""
    if not prove_weight(radio):
        raise InputError(
            f"{radio.uri} (serial {radio.serial}): scaling a running transmission (calibscale, calibphase) does not work "
            "on this unit, and coherent mode needs it; see pairzero radio selftest, or take radio.mode = 'energy'"
        )


def _open(file: StationFile, unit: _Unit, permit: TransmitPermit | None) -> PlutoRadio:
    station = file.station
    return open_radio(
        unit.uri or "",
        serial=unit.serial or "",
        timeout_s=station.timeout_s,
        permit=permit,
        antenna_gain_dbi=unit.antenna_gain_dbi,
        cable_loss_db=unit.cable_loss_db,
        kernel_blocks=station.kernel_blocks,
        block_samples=station.block_samples,
        drain=station.drain and isinstance(unit, Receiver),
    )


def _tune(radio: PlutoRadio, station: Station) -> None:
    radio.rate_sps = station.rate_sps
    radio.lo_hz = station.lo_hz


def check_one_reference(radios: Sequence[PlutoRadio]) -> None:
    """Raises InputError if units on one clock believe in different frequencies of it (`xo_correction`): they would tune
    apart. Units that do not tell are passed over."""
    told = [(radio.unit.name, hz) for radio in radios if (hz := reference_hz(radio)) is not None]
    if misfit := reference_misfit(told):
        raise InputError(misfit)


def reference_hz(radio: PlutoRadio) -> float | None:
    """What a unit takes its reference clock for; None where it does not tell."""
    return radio.unit.get_number("xo_correction") if radio.unit.has("xo_correction") else None


def load_station(path: Path) -> StationFile:
    """Read and check a station file. Raises InputError naming file, key, value and what is allowed."""
    raw = read_toml(path, f"station file {path} not found; hardware.md has one to start from")
    try:
        return StationFile.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(_explain(path, problem) for problem in error.errors()))) from None


def _explain(path: Path, problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        known = _known(location[:-1])
        close = difflib.get_close_matches(location[-1], known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        return f"{path}: unknown key {key}; {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{path}: {key} is missing"
    if problem["type"] == "value_error" and not isinstance(problem["input"], int | float | str | list | tuple):
        return f"{path}: {key}{': ' if key else ''}{message}"
    return f"{path}: {key} = {problem['input']!r}: {message[0].lower()}{message[1:]}"


def _known(location: list[str]) -> list[str]:
    model: type[BaseModel] = StationFile
    sections: dict[str, type[BaseModel]] = {
        "station": Station,
        "permit": Permit,
        "receiver": Receiver,
        "device": Device,
    }
    if location:
        model = sections.get(location[0], StationFile)
    return list(model.model_fields)
