"""Which units there are, and what each of them is and allows."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from radio.pluto.driver import PlutoError, load
from radio.pluto.unit import RANGED, Range, Unit


@dataclass(frozen=True)
class Found:
    """A unit that answered, or why it did not."""

    uri: str
    serial: str = ""
    model: str = ""
    firmware: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Probe:
    """All that one unit says of itself. Frequencies in Hz, gains in dB, temperatures in degrees Celsius."""

    uri: str
    model: str
    serial: str
    firmware: str
    iiod: str
    state: str
    ranges: dict[str, Range]
    settings: dict[str, float]
    gain_mode: str
    temperatures: dict[str, float]
    xo_correction_hz: float | None
    devices: tuple[str, ...]


def scan() -> list[str]:
    """Addresses of Plutos on USB and, where a name service runs, on the network.

    Each backend is asked alone: one that fails, as the network's does without Avahi, would hide the others' units.
    """
    iio, _ = load()
    found: dict[str, str] = {}
    for backend in ("usb", "ip"):
        # libiio's own complaint about a missing name service goes to standard error whatever one does.
        with suppress(OSError):
            found |= _scan_backend(iio, backend)
    return sorted(uri for uri, text in found.items() if "pluto" in text.lower() or "ad936" in text.lower())


def _scan_backend(iio: ModuleType, backend: str) -> dict[str, str]:
    """As `iio.scan_contexts`, which always asks all backends: address and description of each unit."""
    context = iio._create_scan_context(backend.encode(), 0)
    try:
        entries = ctypes.POINTER(iio._ContextInfoPtr)()
        count = iio._get_context_info_list(context, ctypes.byref(entries))
        try:
            return {
                iio._context_info_get_uri(entries[i]).decode(): iio._context_info_get_description(entries[i]).decode()
                for i in range(count)
            }
        finally:
            iio._context_info_list_free(entries)
    finally:
        iio._destroy_scan_context(context)


def find(uris: Sequence[str] = ()) -> list[Found]:
    """The units at `uris`, or those that `scan` finds, each opened for a moment. Two answers of one serial are a fault."""
    found: list[Found] = []
    for uri in uris or scan():
        try:
            unit = Unit(uri)
        except PlutoError as error:
            found.append(Found(uri, fault=str(error)))
            continue
        same = next((other.uri for other in found if unit.serial and other.serial == unit.serial), None)
        fault = f"serial {unit.serial} answers at {same} as well; use one of the two addresses" if same else ""
        found.append(Found(uri, unit.serial, unit.model, unit.firmware, fault))
        unit.close()
    return found


def find_serial(uri: str, serial: str, timeout_s: float = 2.0) -> Unit:
    """The unit of that serial number, open: at `uri` if it still is there, else wherever a scan finds it ("": only there).

    A unit that is unplugged and plugged in again has a new USB address. Raises PlutoError if it is not found.
    """
    candidates = [uri] if uri else []
    fault: PlutoError | None = None
    for attempt in range(2):
        for candidate in candidates:
            try:
                unit = Unit(candidate, timeout_s)
            except PlutoError as error:
                fault = error
                continue
            if not serial or unit.serial == serial:
                return unit
            fault = PlutoError(
                f"{candidate}: serial {unit.serial or 'unknown'} answers there; wanted is {serial}; see pairzero radio find"
            )
            unit.close()
        if attempt == 0:
            candidates = [other for other in scan() if other != uri]
    if fault is not None:
        raise fault
    raise PlutoError(f"no unit with serial {serial} was found; list those there are with: pairzero radio find")


def probe(uri: str) -> Probe:
    """Read everything, change nothing."""
    unit = Unit(uri)
    try:
        names = (
            "receive_lo",
            "transmit_lo",
            "rate",
            "receive_bandwidth",
            "transmit_bandwidth",
            "transmit_gain",
            "receive_gain",
        )
        return Probe(
            uri=uri,
            model=unit.model,
            serial=unit.serial,
            firmware=unit.firmware,
            iiod=unit.iiod,
            state=unit.get("state") if unit.has("state") else "unknown",
            ranges={name: unit.range(name) for name in RANGED},
            settings={name: unit.get_number(name) for name in names},
            gain_mode=unit.get("gain_mode"),
            temperatures=unit.temperatures(),
            xo_correction_hz=unit.get_number("xo_correction") if unit.has("xo_correction") else None,
            devices=tuple(sorted(device.name for device in unit.context.devices if device.name)),
        )
    finally:
        unit.close()
