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
from radio.pluto.tuning import Tuning
from radio.pluto.unit import Unit

START_LAG_S = 0.05

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
        self._closed = False
        self._sending = Transmission(unit, permit, antenna_gain_dbi, cable_loss_db)
        _taken[self._identity] = self
        exits.register(self)
        try:
            self._sending.silence()
            self.tuning = Tuning(unit, permit)
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
        return self.tuning.lo_hz

    @lo_hz.setter
    def lo_hz(self, value: float) -> None:
        self._check_open()
        self.tuning.check_lo(value)
        if self._sending.permit is not None:
            self.mute()
        self.tuning.set_lo(value)

    @property
    def rate_sps(self) -> float:
        return self.tuning.rate_sps

    @rate_sps.setter
    def rate_sps(self, value: float) -> None:
        """Of both directions, see `Tuning.set_rate`; the stream begins anew."""
        self._check_open()
        if self.tuning.has_rate(value):
            return
        self._unit.check("rate", value)
        self.mute()
        self._close_stream()
        self.tuning.set_rate(value)

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
        return self.tuning.receive_gain_db if self._closed else self._unit.get_number("receive_gain")

    @receive_gain_db.setter
    def receive_gain_db(self, value: float) -> None:
        self._check_open()
        self.tuning.set_receive_gain(value)

    def metadata(self) -> dict[str, Any]:
        """For a run's record: who, how set, how warm."""
        unit = self._unit
        return {
            "uri": unit.uri,
            "serial": unit.serial,
            "model": unit.model,
            "firmware": unit.firmware,
            "iiod": unit.iiod,
            "lo_hz": self.tuning.lo_hz,
            "rate_sps": self.tuning.rate_sps,
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
            self._sending.check(samples, self.tuning.lo_hz, self.tuning.rate_sps)
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

    def check_duty(self, seconds: float) -> None:
        """Raises PermitError if that much more may not be sent now."""
        self._sending.check_duty(seconds)

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
            return ReceiveStream(self._unit.adc, blocks, size, rate_sps=self.tuning.rate_sps, drain=drain)

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

    def _reopen(self, error: PlutoError) -> None:
        """Open the unit again, by its serial number, and silence it, over and over until both are done. Raises
        ConnectionLost if it does not come back."""
        old = self._unit
        self._close_stream()
        old.close()
        deadline = time.monotonic() + self._reconnect_s
        while True:
            try:
                self._unit = find_serial(old.uri, old.serial, self._timeout_s, self._scan)
                self._sending.attach(self._unit)
                self._sending.silence()
                return
            except PlutoError as failure:
                self._unit.close()
                if time.monotonic() > deadline:
                    raise ConnectionLost(
                        f"{old.name}: lost, and not found again within {self._reconnect_s:g} s; check cable and power, then "
                        f"start again ({error})"
                    ) from failure
                time.sleep(0.1)

    def _recover(self, error: PlutoError) -> None:
        """`_reopen`, and set it as it was."""
        _log.warning("%s; opening it again", error)
        self._reopen(error)
        self._busy_until = time.monotonic() + self._reconnect_s
        self.tuning.restore(self._unit)

    def close(self) -> None:
        """Silence the unit and give it back. One that does not obey is opened again for it; if that fails, an error is
        logged that says what to do, for nobody knows whether it still transmits."""
        if self._closed:
            return
        self._closed = True
        try:
            try:
                self._sending.silence()
            except PlutoError as error:
                self._reopen(error)
        except PlutoError as error:
            _log.error(
                "%s: could not be silenced and MAY STILL TRANSMIT: pull its plug, or put a dummy load on it (%s)",
                self._unit.name, error,
            )  # fmt: skip
        finally:
            try:
                self._close_stream()
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
