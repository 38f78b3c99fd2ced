"""One unit: its context, who it is, what it allows, and its attributes by name.

A unit's own word (`*_available`) says what is allowed; nothing is hard-coded but the names of the attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from radio.pluto.driver import ConnectionLost, PlutoError, destroy_buffer, explained, load

PHY, ADC, DAC = "ad9361-phy", "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc"
LEAST_RATE_SPS = 521e3  # of the AD9361's own filters: FIR by 4, the rest by 48

# name: device, channel ("" for the device's own, "debug" for its debug attribute), is output, attribute
_ATTRIBUTES: dict[str, tuple[str, str, bool, str]] = {
    "transmit_gain": (PHY, "voltage0", True, "hardwaregain"),
    "receive_gain": (PHY, "voltage0", False, "hardwaregain"),
    "gain_mode": (PHY, "voltage0", False, "gain_control_mode"),
    "rate": (PHY, "voltage0", False, "sampling_frequency"),
    "receive_bandwidth": (PHY, "voltage0", False, "rf_bandwidth"),
    "transmit_bandwidth": (PHY, "voltage0", True, "rf_bandwidth"),
    "receive_lo": (PHY, "altvoltage0", True, "frequency"),
    "transmit_lo": (PHY, "altvoltage1", True, "frequency"),
    "transmit_lo_off": (PHY, "altvoltage1", True, "powerdown"),
    "loopback": (PHY, "debug", False, "loopback"),
    "temperature": (PHY, "temp0", False, "input"),
    "rssi": (PHY, "voltage0", False, "rssi"),
    "state": (PHY, "", False, "ensm_mode"),
    "xo_correction": (PHY, "", False, "xo_correction"),
    "scale_i": (DAC, "voltage0", True, "calibscale"),
    "scale_q": (DAC, "voltage1", True, "calibscale"),
    "phase_i": (DAC, "voltage0", True, "calibphase"),
    "phase_q": (DAC, "voltage1", True, "calibphase"),
    "virtual_clock": ("emulator", "", False, "clock_s"),  # of a virtual unit, which both of these are
    "virtual_wait": ("emulator", "", False, "wait_s"),
}
RANGED = (
    "transmit_lo", "receive_lo", "rate", "transmit_bandwidth", "receive_bandwidth", "transmit_gain", "receive_gain",
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """[low step high] as the unit reports it."""

    low: float
    step: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.10g} to {self.high:.10g}" + (f" in steps of {self.step:g}" if self.step != 1 else "")


def number(text: str) -> float:
    """The number an attribute begins with ("-10.000000 dB")."""
    found = re.match(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)", text)
    if found is None:
        raise ValueError(f"the unit answers {text!r} where a number is expected")
    return float(found.group(1))


class Unit:
    """An open context. All methods raise `PlutoError` with the address, and `ConnectionLost` where the unit is gone.

    After a ConnectionLost nothing is asked of it any more: libiio would take an answer that comes late for that to the next
    question.

    Args:
        uri: as pyadi-iio takes it: ip:HOST, ip:HOST:PORT, usb:BUS.DEVICE.INTERFACE.
        timeout_s: of everything asked of the unit. Opening waits 5 s, which libiio does not let one change.
    """

    def __init__(self, uri: str, timeout_s: float = 2.0) -> None:
        iio, adi = load()
        self.uri = uri
        self._closed = self._lost = False
        self._attributes: dict[str, Any] = {}
        # pyadi-iio opens a context itself, but answers every failure with "No device found".
        with explained(uri, "open"):
            context = iio.Context(uri)
            context.set_timeout(max(1, round(1e3 * timeout_s)))
        names = {device.name for device in context.devices}
        if missing := {PHY, ADC, DAC} - names:
            raise PlutoError(
                f"{uri}: this is no Pluto: it has no {', '.join(sorted(missing))}, but "
                f"{', '.join(sorted(n for n in names if n)) or 'nothing'}; name another unit (pairzero radio find)"
            )
        with explained(uri, "open"):
            self.sdr = adi.Pluto(uri_ctx=context)
        self.context = context
        self.adc = context.find_device(ADC)
        self.dac = context.find_device(DAC)
        facts = context.attrs
        self.model = facts.get("hw_model", "unknown model")
        self.serial = facts.get("hw_serial", "").strip()
        self.firmware = facts.get("fw_version", "unknown")
        self._least_gain = str(self.range("transmit_gain").low)
        self.iiod = ".".join(str(part) for part in context.version[:2])

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def virtual(self) -> bool:
        """Whether it is one of `pairzero emulate`, which radiates nothing."""
        return self.firmware.endswith("-virtual")

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Around all that is asked of the unit: driver errors become ours, and a lost connection is remembered."""
        self._check_open()
        try:
            with explained(self.uri, doing):
                yield
        except ConnectionLost:
            self._lost = True
            raise

    def _check_open(self) -> None:
        if self._closed or self._lost:
            raise ConnectionLost(f"{self.uri}: this unit is {'closed' if self._closed else 'lost'}; open it again")

    def end_transmission(self) -> None:
        """Destroy the transmit buffer, which ends what it sends. Safe to call at any time."""
        if not self._closed:
            destroy_buffer(self.sdr._txbuf)
            self.sdr.tx_destroy_buffer()

    @property
    def name(self) -> str:
        """Serial and address, for messages."""
        return f"{self.uri} (serial {self.serial})" if self.serial else self.uri

    def get(self, name: str) -> str:
        with self.asking(f"read {name}"):
            return str(self._attribute(name).value)

    def set(self, name: str, value: str) -> None:
        with self.asking(f"set {name} to {value}"):
            self._attribute(name).value = value

    def get_number(self, name: str) -> float:
        with self.asking(f"read {name}"):
            return number(self._attribute(name).value)

    def has(self, name: str) -> bool:
        try:
            self._attribute(name)
        except PlutoError:
            return False
        return True

    def range(self, name: str) -> Range:
        """What the unit allows just now; the receive gain's depends on the frequency."""
        device, channel, output, attribute = _ATTRIBUTES[name]
        text = ""
        with self.asking(f"read the range of {name}"):
            text = self._find(device, channel, output, f"{attribute}_available").value
        found = [float(x) for x in re.findall(r"[-+]?\d+(?:\.\d+)?", text)]
        if len(found) != 3:
            raise PlutoError(f"{self.uri}: the range of {name} reads {text!r}; three numbers are expected")
        low, step, high = found
        if name == "rate":
            # What is reported is without the FIR filter, which pyadi-iio switches on for lower rates.
            low = min(low, LEAST_RATE_SPS)
        return Range(low, step, high)

    def check(self, name: str, value: float) -> float:
        """`value`, or PlutoError with the unit's range."""
        allowed = self.range(name)
        if value not in allowed:
            raise PlutoError(f"{self.name}: {name} is {value:.10g}; this unit allows {allowed}")
        return value

    def temperatures(self) -> dict[str, float]:
        """Degrees Celsius of the transceiver and, where it reports one, of the Zynq."""
        found = {"transceiver": self.get_number("temperature") / 1e3}
        with self.asking("read the Zynq's temperature"):
            xadc = self.context.find_device("xadc")
            channel = xadc.find_channel("temp0") if xadc else None
            if channel is not None and {"raw", "offset", "scale"} <= set(channel.attrs):
                raw, offset, scale = (number(channel.attrs[key].value) for key in ("raw", "offset", "scale"))
                found["zynq"] = (raw + offset) * scale / 1e3
        return found

    def silence(self) -> None:
        """Nothing leaves the unit: least gain, transmit LO off, no tone generators, weight 1, no loopback.

        Everything is tried, even if a step fails; then the first failure is reported.
        """
        failure: Exception | None = None
        for name, value in (("transmit_gain", self._least_gain), ("transmit_lo_off", "1"), ("loopback", "0")):
            try:
                self.set(name, value)
            except Exception as error:
                failure = failure or error
        try:
            with self.asking("switch the tone generators off"):
                self.sdr.disable_dds()
        except Exception as error:
            failure = failure or error
        for name, value in (("scale_i", "1.0"), ("scale_q", "1.0"), ("phase_i", "0.0"), ("phase_q", "0.0")):
            try:
                if self.has(name):
                    self.set(name, value)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _attribute(self, name: str) -> Any:
        found = self._attributes.get(name)
        if found is None:
            found = self._attributes[name] = self._find(*_ATTRIBUTES[name])
        return found

    def _find(self, device: str, channel: str, output: bool, attribute: str) -> Any:
        self._check_open()
        owner = self.context.find_device(device)
        if channel == "debug":
            attributes = owner.debug_attrs
        elif channel:
            found = owner.find_channel(channel, output)
            attributes = found.attrs if found is not None else {}
        else:
            attributes = owner.attrs
        if attribute not in attributes:
            raise PlutoError(
                f"{self.uri}: this unit has no attribute {device}/{channel or '-'}/{attribute}; is its firmware v0.32 or newer?"
            )
        return attributes[attribute]

    def close(self) -> None:
        """Give the context back. Buffers must be gone: a context that dies before its buffers ends the process."""
        if self._closed:
            return
        self._closed = True
        self._attributes.clear()
        sdr = self.sdr
        destroy_buffer(sdr._txbuf)
        sdr.tx_destroy_buffer()
        sdr._rxadc = sdr._txdac = sdr._ctrl = []
        sdr._ctx = None
        del self.sdr, self.adc, self.dac, self.context
