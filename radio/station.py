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
    uri = "ip:192.168.3.1"
    transmit_gain_db = -40
    cable_loss_db = 30

Every error names the file, the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from radio.cell import EDGE_SAMPLES, Cell
from radio.errors import InputError
from radio.pluto.permit import FULL_SCALE_DBM, TransmitPermit
from radio.pluto.proof import prove_weight
from radio.pluto.transceiver import START_LAG_S, PlutoRadio, open_radio
from radio.pluto.tuning import announce_calibration
from radio.radio import Radio

CRYSTAL_PPM = 25.0  # of a Pluto's own oscillator
REFERENCE_HZ = 40_000_000  # what stock firmware takes for granted of an external clock

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

    def cell(self, transmitters: Sequence[Radio], receiver: Radio) -> Cell:
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

    def cell(self) -> Cell:
        """For the airs; see `radio.cell`."""
        receiver = self.receiver if self.listen is None else self.listen(self.receiver)
        return self.file.cell(self.transmitters, receiver)

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

    def open_unit(unit: _Unit, allowed: TransmitPermit | None) -> PlutoRadio:
        radio = open_radio(
            unit.uri or "",
            serial=unit.serial or "",
            timeout_s=station.timeout_s,
            permit=allowed,
            antenna_gain_dbi=unit.antenna_gain_dbi,
            cable_loss_db=unit.cable_loss_db,
            kernel_blocks=station.kernel_blocks,
            block_samples=station.block_samples,
            drain=station.drain and isinstance(unit, Receiver),
        )
        opened.append(radio)
        return radio

    try:
        receiver = open_unit(file.receiver, None)
        devices = [open_unit(device, permit) for device in file.device]
        if station.clock == "shared":
            check_one_reference(opened)
        announce_calibration([radio.tuning for radio in devices], station.lo_hz)
        for radio in opened:
            radio.rate_sps = station.rate_sps
            radio.lo_hz = station.lo_hz
        receiver.receive_gain_db = station.receive_gain_db
        for device, radio in zip(file.device, devices, strict=True):
            radio.transmit_gain_db = file.transmit_gain_db(device)
            if coherent and not prove_weight(radio):
                raise InputError(
                    f"{radio.uri} (serial {radio.serial}): scaling a running transmission (calibscale, calibphase) does not work "
                    "on this unit, and coherent mode needs it; see pairzero radio selftest, or take radio.mode = 'energy'"
                )
        return OpenStation(file, tuple(devices), receiver, listen)
    except BaseException:
        for radio in opened:
            radio.close()
        raise


def check_one_reference(radios: Sequence[PlutoRadio]) -> None:
    """Raises InputError if units on one clock believe in different frequencies of it (`xo_correction`): they would tune
    apart. Units that do not tell are passed over."""
    told = [
        (radio.unit.name, radio.unit.get_number("xo_correction")) for radio in radios if radio.unit.has("xo_correction")
    ]
    values = Counter(value for _, value in told)
    if len(values) < 2:
        return
    apart = 1e6 * (max(values) - min(values)) / REFERENCE_HZ
    usual = REFERENCE_HZ if REFERENCE_HZ in values else values.most_common(1)[0][0]
    odd = ", ".join(f"{name} has {value:.0f} Hz" for name, value in told if value != usual)
    raise InputError(
        f"xo_correction differs from unit to unit: {odd}, the others {usual:.0f} Hz; on one clock they tune {apart:.3g} ppm "
        f"apart. Set {REFERENCE_HZ} on all of them (xo_correction = {REFERENCE_HZ} in config.txt, or iio_attr -u URI -d "
        f"ad9361-phy xo_correction {REFERENCE_HZ}), or take clock = 'free'"
    )


def load_station(path: Path) -> StationFile:
    """Read and check a station file. Raises InputError naming file, key, value and what is allowed."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"station file {path} not found; hardware.md has one to start from") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a readable TOML file: {error}") from None
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
