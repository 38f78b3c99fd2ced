"""One virtual Pluto: its devices, what it sends and what it captures."""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from radio.converter import Converter
from radio.emulator.air import Air, Listener, Sender
from radio.emulator.attributes import Attribute, Device, decimal, find, refuse, whole
from radio.emulator.buffers import Block, CaptureBuffer, TransmitBuffer
from radio.emulator.clock import Clock
from radio.emulator.context import render
from radio.emulator.cores import Divider, StatusRegister, TransmitCore, receive_core, sensors
from radio.emulator.faults import Fault, Faults, parse_fault
from radio.emulator.protocol import Place
from radio.emulator.tdd import TddEngine
from radio.emulator.transceiver import Transceiver, gain_range_db
from radio.emulator.wave import DAC_SHIFT, Tones, Wave
from radio.errors import InputError
from radio.streams import stream

REFERENCE_GAIN_DB = 30.0  # receive gain at which a full-scale tone, sent at 0 dB over a path of gain 1, fills the ADC
AGC_TARGET_DBFS = -12.0
SHORTEST_LAG_S = 2e-3  # a transmission started over a network is late by at least a draw of this
DEPTH = 4  # kernel buffers, unless a client asks for another number
DEEPEST = 64
LONGEST_WAIT_S = 86400.0
# What commands take on hardware, in seconds, where it is longer than a receiver's queue lasts: captures before and after
# are then not contiguous. Other commands happen between two samples.
_TUNING_S = {"rx": 1e-2, "tx": 1e-2, "rate": 0.2}
_OPENING_S = 1e-2  # a receiver begins within this, at a random instant
_WARMEST_C, _SWING_C = 36.0, 2.0
RECEIVE, TRANSMIT = "iio:device3", "iio:device2"


class VirtualPluto:
    """See the module. Not thread-safe: the server holds one lock for the air and all that use it.

    Args:
        index: of the unit, from 0.
        air: shared by all units.
        clock: likewise.
        faults: that are to happen to this unit.

    Attributes:
        mark: -1, or a number that blocks captured from now on carry in I of every sample, with the block's own number
            in Q: to tell a stale sample from a fresh one.
    """

    def __init__(self, index: int, air: Air, clock: Clock, faults: list[Fault] | None = None) -> None:
        self.index, self.air, self.clock = index, air, clock
        self.serial = f"virtual-{index:02d}"
        self.faults = Faults(faults or [])
        self.blocks = 0
        self.adc_clipped = 0
        self.starts = self.opened = 0
        self._tunings = 0
        self._converter = Converter(air.profile.bits)
        self.boot()

    def boot(self) -> None:
        """Settings, buffers and what is on the air as after switching on."""
        self.mark = -1
        self.capture_buffer: CaptureBuffer | None = None
        self.transmit_buffer: TransmitBuffer | None = None
        self.depths = {RECEIVE: DEPTH, TRANSMIT: DEPTH}
        self.air.references[self.index].correction_hz = 40_000_000
        self.transceiver = Transceiver(self.air.references[self.index], self._set, self._measured)
        settings = self.transceiver.settings
        self.core = TransmitCore(lambda: settings.rate_sps, self._set)
        self.status = StatusRegister()
        self.divider = Divider("in", lambda: settings.rate_sps, lambda: self._set("rate"))
        self._cursor_s = self.clock.now
        self._power_dbfs = -100.0
        self._tones_start_s = self.clock.now
        self._waves: tuple[Wave, ...] = ()
        self.devices: list[Device] = [
            self.transceiver.device(),
            sensors(lambda: self._measured()[0] + 4000),
            self.core.device(),
            receive_core(self.divider, self.status),
            self._emulator(),
            TddEngine(lambda: settings.rate_sps).device(),
        ]
        self._tune()
        self._put()

    @property
    def description(self) -> str:
        """The context in XML."""
        about = {
            "hw_model": "PlutoSDR Rev.C (virtual, pAirZero)",
            "hw_serial": self.serial,
            "fw_version": "v0.39-virtual",
            "ad9361-phy,model": "ad9363a",
        }
        return render("pAirZero virtual PlutoSDR", about, self.devices)

    def attributes(self, place: Place) -> list[Attribute]:
        """The attribute that `place` names, or all of its list; ENODEV, ENOENT."""
        listed = list(find(self.devices, place.device).listed(place))
        if not place.attribute:
            return listed
        named = [one for one in listed if one.name == place.attribute]
        if not named:
            raise refuse(errno.ENOENT)
        return named

    # What is on the air.

    def _set(self, what: str) -> None:
        """A setting has changed."""
        if what in ("rx", "tx", "rate"):
            self._tune()
        self.clock.command(_TUNING_S.get(what, 0.0), self.core.divider.rate_sps)
        if what == "tones":
            self._tones_start_s = self.clock.now
        if what == "stage":
            self._waves = tuple(wave.staged(self.core.stage) for wave in self._waves)
        self._put()

    def _tune(self) -> None:
        """A synthesiser that was tuned starts at a random phase, with a shared reference too."""
        self._tunings += 1
        draws = stream(self.air.seed, "emulator", "tuning", self.index, self._tunings)
        self._phases = draws.random(2)

    def rotate(self) -> None:
        """The carriers' phases jump."""
        self._tune()
        self._put()

    @property
    def on(self) -> bool:
        return self.transceiver.settings.state == "fdd"

    def _put(self) -> None:
        settings = self.transceiver.settings
        generating = self.transmit_buffer is None and self.core.generating
        tones = Tones(tuple(self.core.tones), self._tones_start_s, self.core.stage) if generating else None  # type: ignore[arg-type]
        self.air.put(
            Sender(
                self.index,
                self.transceiver.tx_lo_hz,
                self.core.divider.rate_sps,
                settings.tx_bandwidth_hz,
                settings.tx_gain_db,
                float(self._phases[0]),
                self.air.references[self.index].tuning,
                self.on and not settings.tx_down and settings.loopback == 0,
                self._waves,
                tones,
            )
        )

    @property
    def _sender(self) -> Sender:
        return self.air.senders[self.index]

    def _measured(self) -> tuple[int, float]:
        warmth = self.air.references[self.index].warmth(self.clock.now)
        return round(1000.0 * (_WARMEST_C + _SWING_C * warmth)), self._power_dbfs

    # Buffers.

    def set_depth(self, device: str, depth: int) -> None:
        """Kernel buffers of a device, before it is opened."""
        identifier = find(self.devices, device).identifier
        if identifier not in self.depths or not 1 <= depth <= DEEPEST:
            raise refuse(errno.EINVAL)
        if self._busy(identifier):
            raise refuse(errno.EBUSY)
        self.depths[identifier] = depth

    def _busy(self, identifier: str) -> bool:
        return (self.capture_buffer if identifier == RECEIVE else self.transmit_buffer) is not None

    def open(self, device: str, samples: int, mask: int, cyclic: bool) -> CaptureBuffer | TransmitBuffer:
        """A buffer of a device; EBUSY if it has one, EINVAL for a device without samples."""
        identifier = find(self.devices, device).identifier
        if identifier not in self.depths or (identifier == RECEIVE and cyclic):
            raise refuse(errno.EINVAL)
        if self._busy(identifier):
            raise refuse(errno.EBUSY)
        if identifier == RECEIVE:
            self.opened += 1
            wait = _OPENING_S * float(stream(self.air.seed, "emulator", "open", self.index, self.opened).random())
            self.clock.command(wait, self.divider.rate_sps)
            self.capture_buffer = CaptureBuffer(samples, mask, self.depths[identifier], self.capture)
            return self.capture_buffer
        self.transmit_buffer = TransmitBuffer(samples, mask, cyclic, self.send)
        self.clock.command(0.0, self.core.divider.rate_sps)
        self._put()
        return self.transmit_buffer

    def close(self, buffer: CaptureBuffer | TransmitBuffer) -> None:
        """The buffer's samples are gone from the air; the tone generators take over."""
        if buffer is self.capture_buffer:
            self.capture_buffer = None
        elif buffer is self.transmit_buffer:
            self.transmit_buffer = None
            self._waves = ()
            self.clock.command(0.0, self.core.divider.rate_sps)
            self._put()

    # Transmitting.

    def send(self, codes: NDArray[np.int16], cyclic: bool) -> None:
        """Send (n, 2) codes: from a random instant on if nothing is being sent, else after what is."""
        now = self.clock.now
        waiting = [wave for wave in self._waves if self._end_s(wave) > now]
        if waiting:
            start = self._end_s(waiting[-1])
        else:
            self.starts += 1
            draws = stream(self.air.seed, "emulator", "start", self.index, self.starts)
            start = now + float(draws.random()) * max(SHORTEST_LAG_S, self.air.profile.impairments.start_jitter_s)
        if len(waiting) >= self.depths[TRANSMIT]:
            self.clock.pass_until(self._end_s(waiting[0]))
        self._waves = (*waiting, Wave(codes, cyclic, start, self.core.stage))
        self.clock.command(0.0, self.core.divider.rate_sps)
        self._put()

    def _end_s(self, wave: Wave) -> float:
        return math.inf if wave.cyclic else wave.start_s + wave.codes.shape[0] / self.core.divider.rate_sps

    # Receiving.

    def capture(self, n: int) -> Block:
        """Capture n samples now. What is heard is settled now too, but only worked out when the block is read."""
        settings = self.transceiver.settings
        listener = Listener(
            self.index,
            self.transceiver.rx_lo_hz,
            self.divider.rate_sps,
            settings.rx_bandwidth_hz,
            float(self._phases[1]),
            self.air.references[self.index].tuning,
        )
        length = n * self.air.period(listener, self._cursor_s)
        begin = self.clock.capture(self._cursor_s, length)
        if self.capture_buffer is not None and begin > self._cursor_s + 0.5 * length / n:
            self.status.overflow = True  # nobody read: the queue was full
        self._cursor_s = begin + length
        self.blocks += 1
        block, mark, senders, own = self.blocks, self.mark, self.air.senders, self._sender
        gain_db = float(settings.rx_gain_db) if settings.gain_mode == "manual" else None
        silent = not self.on or settings.rx_down
        digital = settings.loopback == 1

        def samples(saturated: bool, gap_s: float) -> NDArray[np.int16]:
            self.status.overflow |= gap_s > 0.0
            if mark >= 0:
                return np.broadcast_to(np.array([mark, block % 2048], dtype=np.int16), (n, 2))
            if digital:
                return self._looped(own, begin, n) >> DAC_SHIFT
            if silent:
                return np.zeros((n, 2), dtype=np.int16)
            antenna = self._heard(listener, senders, begin, n, block, gap_s)
            if saturated:
                antenna *= 1e9
            return self._digitised(antenna, gain_db)

        return Block(begin + length, samples)

    def _heard(
        self, listener: Listener, senders: Mapping[int, Sender], begin: float, n: int, block: int, gap_s: float
    ) -> NDArray[np.complex128]:
        if gap_s == 0.0:
            return self.air.hear(listener, senders, begin, n, block)
        later = begin + n // 2 * self.air.period(listener, begin) + gap_s
        parts = (
            self.air.hear(listener, senders, begin, n // 2, block),
            self.air.hear(listener, senders, later, n - n // 2, block),
        )
        return np.concatenate(parts)

    def _digitised(self, antenna: NDArray[np.complex128], gain_db: float | None) -> NDArray[np.int16]:
        """(n,) at the antenna to (n, 2) codes; without a gain the AGC sets it."""
        power = float(np.vdot(antenna, antenna).real) / max(1, antenna.size)
        level = 10.0 * math.log10(max(power, 1e-20)) - REFERENCE_GAIN_DB
        if gain_db is None:
            low, high = gain_range_db(self.transceiver.settings.rx_lo_hz)
            gain_db = float(min(high, max(low, round(AGC_TARGET_DBFS - level))))
            if self.transceiver.settings.gain_mode != "manual":
                self.transceiver.settings.rx_gain_db = int(gain_db)
        self._power_dbfs = level
        antenna *= 10.0 ** ((gain_db - REFERENCE_GAIN_DB) / 20.0)
        digital, clipped = self._converter.convert(self.air.receive_mixers[self.index].mix(antenna))
        self.adc_clipped += clipped
        step = self._converter.step or 1.0 / 2047.0
        return np.rint(digital.view(np.float64) / step).astype(np.int16).reshape(-1, 2)

    def _looped(self, own: Sender, begin: float, n: int) -> NDArray[np.int16]:
        """(n, 2) codes that this unit itself sends: the digital loopback."""
        lead = self.air.references[self.index].lead
        result = np.zeros((n, 2), dtype=np.int16)
        for wave in own.waves:
            elapsed = begin - wave.start_s + lead(begin) - lead(wave.start_s)
            result += wave.played(math.floor(elapsed * own.tuning * own.rate_sps + 1e-4), n)
        if own.tones is not None and not own.tones.silent:
            result += own.tones.codes(begin - own.tones.start_s + np.arange(n) / own.rate_sps)
        return result

    # The emulator's own controls, which no Pluto has.

    def _emulator(self) -> Device:
        def write_mark(text: str) -> None:
            self.mark = whole(text, -1, 2047)

        def write_fault(text: str) -> None:
            try:
                self.faults.arm(parse_fault(text, self.index))
            except InputError:
                raise refuse(errno.EINVAL) from None

        def pass_time(text: str) -> None:
            """Virtual time goes by with nobody reading: a queue that a client has open is full long before it is over."""
            self.clock.command(decimal(text, 0.0, LONGEST_WAIT_S), self.divider.rate_sps)
            if self.capture_buffer is not None and not self.clock.realtime:
                self._cursor_s = self.clock.now
                self.status.overflow = True

        return Device(
            "iio:device4",
            "emulator",
            attributes=[
                Attribute("mark", "mark", lambda: str(self.mark), write_mark),
                Attribute("fault", "fault", lambda: "; ".join(map(str, self.faults.waiting)), write_fault),
                Attribute("clock_s", "clock_s", lambda: f"{self.clock.now:.9f}"),
                Attribute("wait_s", "wait_s", lambda: "0", pass_time),
                Attribute("blocks", "blocks", lambda: str(self.blocks)),
                Attribute("starts", "starts", lambda: str(self.starts)),
                Attribute("adc_clipped", "adc_clipped", lambda: str(self.adc_clipped)),
            ],
        )
