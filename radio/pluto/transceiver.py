"""`Radio` over one Pluto.

A transmission starts late by an unknown time (USB, DMA): at most `START_LAG_S`, and every start anew. What runs can be
scaled without a restart (`weigh`), where that is proved (`radio.pluto.proof`); elsewhere the wave is handed over again,
scaled, with a start of its own.

A unit that goes away or stops answering is opened again by its serial number, set as it was, and is silent. Whatever was
running is gone then, so `weigh` fails; a reception that was interrupted is NaN, which every receiver takes for an erasure.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.pluto import exits
from radio.pluto.driver import ConnectionLost, PlutoError, UnitBusy
from radio.pluto.permit import TransmitPermit
from radio.pluto.scan import Scan, find_serial, scan
from radio.pluto.stream import ADC_FULL_SCALE, ReceiveStream
from radio.pluto.transmission import Transmission
from radio.pluto.unit import Unit

START_LAG_S = 0.05
CALIBRATION_STEP_HZ = 100e6  # LO moves beyond this calibrate the transmitter, at near full drive
LO_TOLERANCE_HZ = 10.0  # two steps of the synthesiser

_log = logging.getLogger(__name__)
_taken: dict[str, PlutoRadio] = {}


class PlutoRadio:
    """See the module. `open_radio` is the usual way to one.

    Nothing is tuned by opening, only silenced: retuning may calibrate the transmitter, which is heard.

    Args:
        unit: open; from here on the radio's to close.
        permit: None: this radio only listens, and transmits in digital loopback at most.
        antenna_gain_dbi, cable_loss_db: behind the connector, for the radiated power.
        kernel_blocks, block_samples, drain: see `ReceiveStream`.
        reconnect_s: how long a lost unit is looked for.
        timeout_s: of a unit that is opened again.
        scan: what finds a unit that has another address now.

    Attributes:
        clock_epoch: see `radio.radio.clock_epoch`.
    """

    full_scale = ADC_FULL_SCALE

    def __init__(
        self,
        unit: Unit,
        *,
        permit: TransmitPermit | None = None,
        antenna_gain_dbi: float = 0.0,
        cable_loss_db: float = 0.0,
        kernel_blocks: int = 4,
        block_samples: int = 4096,
        drain: bool = False,
        reconnect_s: float = 5.0,
        timeout_s: float = 2.0,
        scan: Scan = scan,
    ) -> None:
        self._identity = unit.serial or unit.uri
        if self._identity in _taken:
            raise PlutoError(
                f"{unit.uri}: serial {self._identity} is open already, at {_taken[self._identity].uri}; a unit has one role, "
                "so name another one"
            )
        self.clock_samples = 0
        self.clock_epoch = 0
        self._unit = unit
        self._ring: tuple[int, int, bool] = (kernel_blocks, block_samples, drain)
        self._stream: ReceiveStream | None = None
        self._origin = 0  # clock of the stream's first sample
        self._reconnect_s = reconnect_s
        self._timeout_s = timeout_s
        self._scan = scan
        self._busy_until = 0.0
        self._closed = self._rate_set = False
        self._sending = Transmission(unit, permit, antenna_gain_dbi, cable_loss_db)
        _taken[self._identity] = self
        exits.register(self)
        try:
            self._sending.silence()
            unit.set("gain_mode", "manual")
            self._rate_sps = unit.get_number("rate")
            self._lo_hz = unit.get_number("receive_lo" if permit is None else "transmit_lo")
            self._receive_gain_db = unit.get_number("receive_gain")
        except BaseException:
            self.close()
            raise

    # Settings

    @property
    def uri(self) -> str:
        return self._unit.uri

    @property
    def serial(self) -> str:
        return self._unit.serial

    @property
    def unit(self) -> Unit:
        """For what a radio has no word for; another object after a reconnection."""
        return self._unit

    @property
    def hardware(self) -> str:
        unit = self._unit
        return f"{unit.model}, serial {unit.serial or 'unknown'}, firmware {unit.firmware}"

    @property
    def clipped(self) -> int:
        """Samples limited at DAC full scale so far."""
        return self._sending.clipped

    @property
    def weighs_live(self) -> bool:
        """Whether `weigh` scales a running transmission (`radio.pluto.proof` finds out) or hands it over again."""
        return self._sending.live

    @weighs_live.setter
    def weighs_live(self, value: bool) -> None:
        self._sending.live = value

    @property
    def lo_hz(self) -> float:
        """Of the receiver, and with a permit of the transmitter."""
        return self._lo_hz

    @lo_hz.setter
    def lo_hz(self, value: float) -> None:
        self._check_open()
        unit, permit = self._unit, self._sending.permit
        unit.check("receive_lo", value)
        if permit is not None:
            unit.check("transmit_lo", value)
            permit.check_band(unit.name, value, self._rate_sps if self._rate_set else 0.0)
            self.mute()
            before = unit.get_number("transmit_lo")
            if abs(value - before) > CALIBRATION_STEP_HZ:
                _log.warning(
                    "%s: moving the transmit LO from %.6g to %.6g MHz calibrates the transmitter, which radiates for some "
                    "milliseconds at near full power; keep antennas and amplifiers off meanwhile",
                    unit.name, before / 1e6, value / 1e6,
                )  # fmt: skip
            unit.set("transmit_lo", str(round(value)))
            unit.set("transmit_lo_off", "1")
        unit.set("receive_lo", str(round(value)))
        self._lo_hz = float(value)

    @property
    def rate_sps(self) -> float:
        return self._rate_sps

    @rate_sps.setter
    def rate_sps(self, value: float) -> None:
        """Rate of both directions, with the FIR filter that it needs, and the analog bandwidths as near to it as they go."""
        self._check_open()
        unit, permit = self._unit, self._sending.permit
        if self._rate_set and value == self._rate_sps:
            return
        unit.check("rate", value)
        self.mute()
        self._close_stream()
        with unit.asking(f"set the rate to {value:g}"):
            unit.sdr.sample_rate = round(value)
        for name in ("receive_bandwidth", "transmit_bandwidth")[: 1 if permit is None else 2]:
            allowed = unit.range(name)
            unit.set(name, str(round(min(max(value, allowed.low), allowed.high))))
        self._rate_sps, self._rate_set = float(value), True

    @property
    def transmit_gain_db(self) -> float:
        """0 at full power, negative below."""
        return self._sending.gain_db

    @transmit_gain_db.setter
    def transmit_gain_db(self, value: float) -> None:
        self._check_open()
        self._sending.set_gain(value)

    @property
    def receive_gain_db(self) -> float:
        """As the unit has it just now."""
        return self._receive_gain_db if self._closed else self._unit.get_number("receive_gain")

    @receive_gain_db.setter
    def receive_gain_db(self, value: float) -> None:
        self._check_open()
        self._unit.check("receive_gain", value)
        # In automatic mode the unit takes a gain and ignores it.
        self._unit.set("gain_mode", "manual")
        self._unit.set("receive_gain", f"{value:g}")
        self._receive_gain_db = float(value)

    def metadata(self) -> dict[str, Any]:
        """For a run's record: who, how set, how warm."""
        unit = self._unit
        return {
            "uri": unit.uri,
            "serial": unit.serial,
            "model": unit.model,
            "firmware": unit.firmware,
            "iiod": unit.iiod,
            "lo_hz": self._lo_hz,
            "rate_sps": self._rate_sps,
            "transmit_gain_db": self.transmit_gain_db,
            "receive_gain_db": self.receive_gain_db,
            "temperatures_c": unit.temperatures(),
            "xo_correction_hz": unit.get_number("xo_correction") if unit.has("xo_correction") else None,
            "weighs_live": self.weighs_live,
            "clipped": self.clipped,
        }

    # Sending

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        """Rails beyond full scale are clipped and their samples counted in `clipped`; nothing wraps.

        Raises PermitError without a permit, and when its duty is used up.
        """
        self._check_open()
        try:
            self._sending.check(samples, self._lo_hz, self._rate_sps)
            try:
                self._sending.start(samples, cyclic)
            except ConnectionLost as error:
                if self._sending.loopback:
                    raise
                self._recover(error)
                self._patiently(lambda: self._sending.start(samples, cyclic))
        except BaseException:
            self._silence_quietly()
            raise

    @property
    def holding(self) -> bool:
        """As far as is known here, and as the unit says whose transmitter is on."""
        if self._closed or not self._sending.holding:
            return False
        try:
            return self._sending.loopback or self._unit.get_number("transmit_lo_off") == 0.0
        except PlutoError:
            return False

    def weigh(self, value: complex) -> None:
        """Live where that is proved, else by a new start. Raises ConnectionLost with the unit: nothing can be mended then,
        because start and phase of the wave went with it."""
        self._check_open()
        try:
            self._sending.weigh(value)
        except BaseException:
            self._silence_quietly()
            raise

    def mute(self) -> None:
        if self._closed:
            return
        try:
            self._sending.stop()
        except ConnectionLost as error:
            self._recover(error)  # what is opened anew is silenced first

    def _silence_quietly(self) -> None:
        try:
            self._sending.silence()
        except ConnectionLost:
            self._unit.close()  # its own server ends what a lost client was sending
        except PlutoError:
            pass

    # Receiving

    def receive(self, n: int) -> NDArray[np.complex128]:
        """Samples that arrive after the call. NaN, all of them, where some were lost or the unit had to be opened anew."""
        self._check_open()
        if n < 1:
            raise PlutoError(f"{self._unit.name}: n is {n}; at least one sample must be received")
        try:
            with self._unit.asking("receive"):
                if self._stream is None:
                    self._stream = self._patiently(self._new_stream)
                    self._origin = self.clock_samples
                    self.clock_epoch += 1
                taken = self._stream.take(n)
        except BaseException as error:
            self._close_stream()
            if not isinstance(error, ConnectionLost):
                raise
            self._recover(error)
            return self._lost(n)
        self.clock_samples = self._origin + taken.first + n
        if taken.lost_before or taken.lost:
            self.clock_epoch += 1
        if taken.lost:
            _log.warning("%s: samples were lost; this reception counts for nothing", self._unit.name)
            return self._lost(n)
        return (taken.codes.astype(np.float64) / ADC_FULL_SCALE).reshape(-1).view(np.complex128)

    def _new_stream(self) -> ReceiveStream:
        blocks, size, drain = self._ring
        with self._unit.asking("receive"):
            return ReceiveStream(self._unit.adc, blocks, size, rate_sps=self._rate_sps, drain=drain)

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """`action`; while a unit opened again still holds what its lost client had open, over and over."""
        while True:
            try:
                return action()
            except UnitBusy:
                if time.monotonic() > self._busy_until:
                    raise
                time.sleep(0.02)

    @staticmethod
    def _lost(n: int) -> NDArray[np.complex128]:
        return np.full(n, complex(math.nan, math.nan))

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    # Digital loopback

    @contextlib.contextmanager
    def digital_loopback(self) -> Iterator[None]:
        """What is transmitted comes back as received, without radiating. Silent afterwards."""
        self._check_open()
        self._sending.enter_loopback()
        try:
            yield
        finally:
            self._sending.silence()

    # Life

    def _reopen(self, error: PlutoError, patience_s: float) -> None:
        """Open the unit again, by its serial number, and silence it. Raises ConnectionLost if it does not come back."""
        old = self._unit
        self._close_stream()
        old.close()
        deadline = time.monotonic() + patience_s
        while True:
            try:
                unit = find_serial(old.uri, old.serial, self._timeout_s, self._scan)
                break
            except PlutoError:
                if time.monotonic() > deadline:
                    raise ConnectionLost(
                        f"{old.name}: lost, and not found again within {patience_s:g} s; check cable and power, then start "
                        f"again ({error})"
                    ) from error
                time.sleep(0.1)
        self._unit = unit
        self._sending.attach(unit)
        self._sending.silence()

    def _recover(self, error: PlutoError) -> None:
        """`_reopen`, and set it as it was."""
        _log.warning("%s; opening it again", error)
        self._reopen(error, self._reconnect_s)
        unit = self._unit
        self._busy_until = time.monotonic() + self._reconnect_s
        unit.set("gain_mode", "manual")
        if self._rate_set and abs(unit.get_number("rate") - self._rate_sps) > 1.0:
            self._rate_set = False
            self.rate_sps = self._rate_sps
        los = ("receive_lo",) if self._sending.permit is None else ("receive_lo", "transmit_lo")
        if any(abs(unit.get_number(name) - self._lo_hz) > LO_TOLERANCE_HZ for name in los):
            self.lo_hz = self._lo_hz
        if unit.get_number("receive_gain") != self._receive_gain_db:
            self.receive_gain_db = self._receive_gain_db

    def close(self) -> None:
        """Silence the unit and give it back. One whose connection is lost is looked for once more; its own server stops what
        a lost client was sending."""
        if self._closed:
            return
        self._closed = True
        try:
            self._close_stream()
            try:
                self._sending.silence()
            except ConnectionLost as error:
                self._reopen(error, 0.0)
        except ConnectionLost as error:
            _log.warning("%s: not silenced, because the connection is lost (%s)", self._unit.uri, error)
        finally:
            _taken.pop(self._identity, None)
            exits.forget(self)
            self._unit.close()

    def _check_open(self) -> None:
        if self._closed:
            raise PlutoError(f"{self._unit.uri}: this radio is closed; open a new one")

    def __enter__(self) -> PlutoRadio:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def open_radio(uri: str, *, serial: str = "", timeout_s: float = 2.0, scan: Scan = scan, **settings: Any) -> PlutoRadio:
    """The unit that `find_serial` finds, as a radio; settings as `PlutoRadio`."""
    unit = find_serial(uri, serial, timeout_s, scan)
    try:
        return PlutoRadio(unit, timeout_s=timeout_s, scan=scan, **settings)
    except BaseException:
        unit.close()
        raise
