"""Which units there are, and what each of them is and allows."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from radio.pluto.driver import PlutoError, load
from radio.pluto.unit import RANGED, Range, Unit

Scan = Callable[[], Mapping[str, str]]


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


def scan() -> dict[str, str]:
    """Addresses of Plutos on USB and, where a name service runs, on the network, each with libiio's description.

    Each backend is asked alone: one that fails, as the network's does without Avahi, would hide the others' units.
    """
    iio, _ = load()
    found: dict[str, str] = {}
    for backend in ("usb", "ip"):
        # libiio's own complaint about a missing name service goes to standard error whatever one does.
        with suppress(OSError):
            found |= _scan_backend(iio, backend)
    return {u: text for u, text in sorted(found.items()) if "pluto" in text.lower() or "ad936" in text.lower()}


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
    for uri in uris or list(scan()):
        try:
            unit = find_serial(uri, "")
        except PlutoError as error:
            found.append(Found(uri, fault=str(error)))
            continue
        uri = unit.uri
        same = next((other.uri for other in found if unit.serial and other.serial == unit.serial), None)
        fault = f"serial {unit.serial} answers at {same} as well; use one of the two addresses" if same else ""
        found.append(Found(uri, unit.serial, unit.model, unit.firmware, fault))
        unit.close()
    return found


def find_serial(uri: str, serial: str, timeout_s: float = 2.0, scan: Scan = scan) -> Unit:
    """The unit at an address, or that of a serial number, open.

    A unit that is unplugged and plugged in again has a new USB address: where the address does not answer, or another unit
    answers there, a scan looks for the serial number. Without a serial number no other unit is taken for it.

    Args:
        uri: as `Unit`; also `usb:`, the only Pluto on USB, and a bare serial number; "": anywhere.
        serial: that it must have; "": any.
        timeout_s: as `Unit`.
        scan: addresses that there are, and their descriptions.

    Raises PlutoError if it is not found.
    """
    if uri and ":" not in uri:
        if serial not in ("", uri):
            raise PlutoError(f"serial is {serial}, but the address is the serial number {uri}; give one of the two")
        uri, serial = "", uri
    if uri == "usb:":
        uri = _only_usb(list(scan()))
    fault: PlutoError | None = None
    for candidate in _candidates(uri, serial, scan):
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
    if fault is not None:
        raise fault
    raise PlutoError(f"no unit with serial {serial} was found; list those there are with: pairzero radio find")


def _candidates(uri: str, serial: str, scan: Scan) -> Iterator[str]:
    """The address first; then, if there is a serial number to know it by, whatever else may be that unit."""
    if uri:
        yield uri
    if serial:
        for other, text in scan().items():
            told = re.search(r"serial=(\S+)", text)  # USB descriptors tell it
            if other != uri and (told is None or told[1] == serial):
                yield other


def _only_usb(uris: Sequence[str]) -> str:
    """The only one on USB."""
    found = [uri for uri in uris if uri.startswith("usb:")]
    if len(found) == 1:
        return found[0]
    if found:
        raise PlutoError(
            f"usb: stands for the only Pluto on USB, and there are {len(found)}: {', '.join(found)}; name one of them, or a "
            "serial number (pairzero radio find)"
        )
    raise PlutoError(
        "usb: no Pluto was found on USB; check cable and power and, on Linux, the udev rule (53-adi-plutosdr-usb.rules), or name "
        "its network address, such as ip:192.168.2.1"
    )


def probe(uri: str) -> Probe:
    """Read everything, change nothing."""
    unit = find_serial(uri, "")
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
            uri=unit.uri,
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
