"""Radios ready for a session: those of a station file, real or virtual, or a simulated air's; and what is wrong with them.

A radio that is missing is a finding and not the end: the others are calibrated, and the report says what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from calibration.finding import Finding
from calibration.loopback_rig import LoopbackRig
from calibration.rig import Rig
from calibration.station_rig import station_rig
from radio.errors import InputError
from radio.pluto.permit import PermitError, TransmitPermit
from radio.pluto.proof import prove_weight
from radio.pluto.transceiver import open_radio
from radio.station import OpenStation, StationFile, open_station
from radio.surroundings import Surroundings

RADIOS = "radios"  # what the findings of a stand name as their step


@dataclass(frozen=True)
class Stand:
    """What a session works with.

    rig       None where nothing can be measured; `findings` say why
    name      of the bench
    air       "station" or "loopback"
    clock     as the station file or the experiment says
    settings  of a simulated air: what a profile of it is bound to
    findings  conditions of the radios themselves
    """

    rig: Rig | None
    name: str
    air: Literal["station", "loopback"]
    clock: Literal["shared", "free"]
    lo_hz: float
    rate_sps: float
    settings: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@contextmanager
def at_station(
    file: StationFile, permit: TransmitPermit | None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Stand]:
    """The radios of a station that answer, tuned and silent, under the permit; closed afterwards, whatever happened.

    Raises PermitError for gains and frequencies that are not permitted.
    """
    opened, found = _open(file, permit)
    station = file.station

    def stand(rig: Rig | None) -> Stand:
        return Stand(
            rig, station.name, "station", station.clock, station.lo_hz, station.rate_sps, findings=tuple(found)
        )

    if opened is None:
        yield stand(None)
        return
    with opened:
        found += _weighs(opened)
        names = [f"device-{file.device.index(unit)}" for unit in opened.file.device]
        yield stand(station_rig(opened, names=names, say=say))


@contextmanager
def on_loopback(
    place: Surroundings, settings: dict[str, Any], name: str, say: Callable[[str], None] = lambda _: None
) -> Iterator[Stand]:
    """Simulated radios in `place`; `settings` is what it was made from."""
    rig = LoopbackRig(place, say=say)
    clock: Literal["shared", "free"] = "shared" if rig.shared_clock else "free"
    try:
        yield Stand(rig, name, "loopback", clock, place.lo_hz, place.rate_sps, settings=settings)
    finally:
        rig.mute()


def _open(file: StationFile, permit: TransmitPermit | None) -> tuple[OpenStation | None, list[Finding]]:
    """The station with the devices that answer, and why the others do not."""
    try:
        return open_station(file, permit), []
    except PermitError:
        raise
    except InputError as error:
        first = str(error)
    found: list[Finding] = []
    working = []
    for subject, unit in (("receiver", file.receiver), *((f"device-{k}", u) for k, u in enumerate(file.device))):
        try:
            open_radio(unit.uri or "", serial=unit.serial or "", timeout_s=file.station.timeout_s).close()
        except InputError as error:
            found.append(_wrong(subject, "radio missing", str(error)))
        else:
            working.append(unit)
    devices = tuple(unit for unit in file.device if unit in working)
    if file.receiver not in working or not devices:
        return None, found
    if not found:  # each answers; together they cannot work
        return None, [_wrong("station", "radios cannot work together", first)]
    try:
        return open_station(file.model_copy(update={"device": devices}), permit), found
    except PermitError:
        raise
    except InputError as error:
        return None, [*found, _wrong("station", "radios cannot work together", str(error))]


def _weighs(opened: OpenStation) -> list[Finding]:
    """Coherent mode needs units that scale a running transmission; asked in digital loopback, where nothing is radiated."""
    found: list[Finding] = []
    if opened.file.station.clock != "shared":
        return found
    for k, radio in enumerate(opened.transmitters):
        try:
            if prove_weight(radio):
                continue
            why = "calibscale and calibphase do nothing"
        except InputError as error:
            why = str(error)
        found.append(
            Finding(
                RADIOS, f"device-{k}", "scaling a running transmission does not work", verdict="warn",
                advice=f"{why}; coherent mode needs it. See pairzero radio selftest, or take radio.mode = 'energy'",
            )
        )  # fmt: skip
    return found


def _wrong(subject: str, what: str, why: str) -> Finding:
    return Finding(RADIOS, subject, what, verdict="fail", advice=why)
