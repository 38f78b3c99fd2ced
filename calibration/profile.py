"""The profile of a station: what a calibration session found out, when, of which radios at which settings (TOML).

    version = 1
    name = "bench"
    air = "station"
    made = 2026-11-21T18:48:00Z
    lo_hz = 868300000.0
    ...
    [receiver]
    serial = "104400..."
    [[device]]
    serial = "104401..."
    [recommendation]
    mode = "energy"
    ...
    [facts.known_scalar]         # one table a step
    ...
    [[finding]]                  # every line of the report

It says what is true of these radios at these settings and not of any others: `check` compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from calibration.finding import Estimate, Finding, Limit
from calibration.plain import plain
from calibration.prediction import SumError
from radio.errors import InputError
from radio.recording import write_bytes
from radio.station import StationFile
from radio.toml_file import read_toml

NAME = "profile.toml"
VERSION = 1
MAX_AGE_S = 24 * 3600.0
TEMPERATURE_SPAN_C = 10.0  # of a transceiver, either way: oscillators and gains of consumer radios move with it


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Radio(_Section):
    """One radio as it was. `temperature_c` of its transceiver."""

    name: str
    uri: str = ""
    serial: str = ""
    firmware: str = ""
    transmit_gain_db: float | None = None
    temperature_c: float | None = None


class Validity(_Section):
    """Beyond which the profile is doubted."""

    max_age_s: float = MAX_AGE_S
    temperature_span_c: float = TEMPERATURE_SPAN_C


class Recommendation(_Section):
    """How to use the station.

    mode             coherent or energy
    window           samples that a scalar takes
    pilot_window     samples of a pilot
    pilots           of a round, all devices together
    receive_gain_db  manual
    truncation       share of the mean gain power below which a device is better left out
    csi_error        sigma / |h| of the worst device's gain when it is used: what power control and privacy take
    csi_moving       the part of it that no pilot knows of: gains and phases that move after them
    error            of the sum, X = 1
    expected_error   rms of payloads uniform in [-X, X], share of full scale K X
    reasons          why
    """

    mode: Literal["coherent", "energy"]
    window: int
    pilot_window: int
    pilots: int
    receive_gain_db: float
    truncation: float
    csi_error: float
    csi_moving: float
    error: SumError
    expected_error: float
    reasons: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Keys of an experiment."""
        return {
            "radio.mode": self.mode,
            "radio.window": self.window,
            "radio.pilot_window": self.pilot_window,
            "radio.truncation": self.truncation,
        }


class Found(_Section):
    """A `Finding` as a flat table."""

    step: str
    subject: str
    quantity: str
    verdict: Literal["pass", "warn", "fail", "unknown"]
    value: float | None = None
    standard_error: float | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    advice: str = ""

    @classmethod
    def of(cls, finding: Finding) -> Found:
        estimate, limit = finding.estimate, finding.limit
        return cls(
            step=finding.step,
            subject=finding.subject,
            quantity=finding.quantity,
            verdict=finding.verdict,
            value=None if estimate is None else float(estimate.value),
            standard_error=None if estimate is None else float(estimate.standard_error),
            unit="" if estimate is None else estimate.unit,
            low=None if limit is None else limit.low,
            high=None if limit is None else limit.high,
            advice=finding.advice,
        )

    @property
    def finding(self) -> Finding:
        estimate = None
        if self.value is not None:
            estimate = Estimate(self.value, self.standard_error or 0.0, self.unit)
        limit = None if self.low is None and self.high is None else Limit(self.low, self.high)
        return Finding(self.step, self.subject, self.quantity, estimate, limit, self.verdict, self.advice)


class Profile(_Section):
    """See the module. `settings` binds a simulated air's profile, as serial numbers do a station's."""

    version: Literal[1] = 1
    name: str
    air: Literal["station", "loopback"]
    made: datetime
    complete: bool  # every step that was asked for is done
    clock: Literal["shared", "free"]
    lo_hz: float
    rate_sps: float
    receive_gain_db: float
    radio_s: float
    settings: dict[str, Any] = {}
    validity: Validity = Validity()
    receiver: Radio
    device: tuple[Radio, ...]
    recommendation: Recommendation | None = None
    facts: dict[str, dict[str, Any]] = {}
    finding: tuple[Found, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(one.finding for one in self.finding)

    def age_s(self, now: datetime | None = None) -> float:
        return ((now or datetime.now(UTC)) - self.made).total_seconds()

    def to_toml(self) -> str:
        return tomli_w.dumps(plain(self.model_dump(exclude_none=True)))

    def write(self, folder: Path) -> Path:
        """Into a session's folder, in one step. Raises InputError for a disk that does not take it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / NAME, self.to_toml().encode())
        except OSError as problem:
            raise InputError(f"cannot write {folder / NAME}: {problem.strerror}; free some space") from None
        return folder / NAME


def load_profile(path: Path) -> Profile:
    """Of a file, or of a session's folder. Raises InputError naming file, key and value."""
    file = path / NAME if path.is_dir() else path
    raw = read_toml(file, f"profile {file} not found; make one with: pairzero calibrate --station FILE")
    if raw.get("version") != VERSION:
        raise InputError(
            f"{file}: version = {raw.get('version')!r}; this program reads profiles of version {VERSION}. Calibrate again"
        )
    try:
        return Profile.model_validate(raw)
    except ValidationError as error:
        lines = [f"{file}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise InputError("\n".join(lines)) from None


@dataclass(frozen=True)
class Problem:
    """A reason to doubt a profile (`refuse` False) or not to use it."""

    refuse: bool
    text: str

    def __str__(self) -> str:
        return self.text


def check(profile: Profile, file: StationFile | None, now: datetime | None = None) -> list[Problem]:
    """What speaks against using the profile at a station (None: on the loopback), as far as files tell; see `check_radios`.

    Refused: another air, frequency, rate, clock or transmit gain. Doubted: age, steps that failed or were never done.
    """
    found: list[Problem] = []

    def differs(what: str, here: Any, there: Any) -> None:
        if here != there:
            found.append(Problem(True, f"{what} is {here} and was {there} when the profile was made"))

    differs("the air", "loopback" if file is None else "station", profile.air)
    if file is not None and profile.air == "station":
        station = file.station
        differs("clock", station.clock, profile.clock)
        differs("lo_hz", station.lo_hz, profile.lo_hz)
        differs("rate_sps", station.rate_sps, profile.rate_sps)
        if len(file.device) > len(profile.device):
            found.append(
                Problem(True, f"{len(file.device)} devices are to send and the profile has {len(profile.device)}")
            )
        for k, (unit, was) in enumerate(zip(file.device, profile.device, strict=False)):
            if unit.serial and was.serial:
                differs(f"device {k}'s serial number", unit.serial, was.serial)
            if was.transmit_gain_db is not None:
                differs(f"device {k}'s transmit_gain_db", file.transmit_gain_db(unit), was.transmit_gain_db)
        if file.receiver.serial and profile.receiver.serial:
            differs("the receiver's serial number", file.receiver.serial, profile.receiver.serial)
        if profile.receive_gain_db != station.receive_gain_db:
            text = f"receive_gain_db = {profile.receive_gain_db:g} of the profile is used instead of {station.receive_gain_db:g}"
            found.append(Problem(False, text))
    age = profile.age_s(now)
    if age > profile.validity.max_age_s:
        found.append(
            Problem(False, f"it is {age / 3600:.0f} h old and vouches for {profile.validity.max_age_s / 3600:.0f} h")
        )
    if not profile.complete:
        found.append(Problem(False, "its session was not finished"))
    if failed := [f"{one.subject}: {one.quantity}" for one in profile.finding if one.verdict == "fail"]:
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        found.append(Problem(False, f"the session found what is wrong: {'; '.join(failed[:3])}{more}"))
    if profile.recommendation is None:
        found.append(Problem(False, "it recommends nothing: no known scalar was measured"))
    return found


def check_radios(profile: Profile, receiver: dict[str, Any], devices: Sequence[dict[str, Any]]) -> list[Problem]:
    """The same for open radios, by their metadata: refused with another serial number, doubted with another temperature."""
    found: list[Problem] = []
    roles = [("receiver", profile.receiver, receiver)]
    roles += [(f"device {k}", was, now) for k, (was, now) in enumerate(zip(profile.device, devices, strict=False))]
    for role, was, now in roles:
        if was.serial and now.get("serial") and was.serial != now["serial"]:
            found.append(Problem(True, f"{role} is serial {now['serial']} and was {was.serial}"))
        warm = temperature_of(now)
        span = profile.validity.temperature_span_c
        if warm is not None and was.temperature_c is not None and abs(warm - was.temperature_c) > span:
            text = f"{role} is at {warm:.1f} \u00b0C and was at {was.temperature_c:.1f}; the profile vouches for \u00b1{span:g} K"
            found.append(Problem(False, text))
    return found


def temperature_of(metadata: dict[str, Any]) -> float | None:
    """Of the transceiver, from `radio.pluto` metadata."""
    value = (metadata.get("temperatures_c") or {}).get("transceiver")
    return None if value is None else float(value)


def radio_of(name: str, metadata: dict[str, Any]) -> Radio:
    """As `Rig.facts` describes one."""
    gain = metadata.get("transmit_gain_db")
    return Radio(
        name=name,
        uri=str(metadata.get("uri") or ""),
        serial=str(metadata.get("serial") or ""),
        firmware=str(metadata.get("firmware") or ""),
        transmit_gain_db=None if gain is None else float(gain),
        temperature_c=temperature_of(metadata),
    )
