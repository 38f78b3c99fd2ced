"""What a unit's receiver delivers: blocks of a stream, stale ones dropped, gaps noticed.

The kernel fills a ring of blocks whether anybody reads or not. Whoever asks for samples wants those that arrive from now
on, so a whole ring and one more block, which may have been half full, are thrown away first. The stream itself runs on:
the count of its samples, dropped ones included, is a clock that a transmission held through several receptions needs. When
nobody reads for longer than the ring lasts, samples are lost; the ADC core says so in its status register, and the count
begins a new epoch. The register is read after every call, and before it where the ring may have overflowed since the last.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.pluto.driver import destroy_buffer, load

ADC_FULL_SCALE = 2048  # codes: 12 bits, sign extended
_STATUS = 0x80000088  # of the ADC core (axi_adc, REG_STATUS), as gr-iio reads it
_OVERFLOW = 0x4  # set by hardware, cleared by writing 1


@dataclass(frozen=True)
class Taken:
    """What one call brought.

    Attributes:
        codes: (n, 2) int16, I and Q.
        first: which sample of the stream the first one is.
        lost_before: samples were lost since the call before.
        lost: samples were lost during this call, or in a short pause before it.
    """

    codes: NDArray[np.int16]
    first: int
    lost_before: bool
    lost: bool


class ReceiveStream:
    """See the module. Errors are the driver's own (OSError); after one the stream must be closed.

    Args:
        device: the ADC's `iio.Device`, owned by a context that outlives this.
        blocks: in the kernel's ring.
        block_samples: of each.
        rate_sps: of the samples.
        drain: read all the time in a thread, so that the clock holds however long nobody asks: for units in real time.
    """

    def __init__(
        self, device: Any, blocks: int = 4, block_samples: int = 4096, *, rate_sps: float, drain: bool = False
    ) -> None:
        iio, _ = load()
        self.blocks, self.block_samples = blocks, block_samples
        self._device = device
        self._watch = True
        self._brief_s = 0.5 * blocks * block_samples / rate_sps  # the ring cannot overflow in so short a pause
        self._left = -math.inf  # when the last call ended
        self._position = 0  # blocks delivered
        for name in ("voltage0", "voltage1"):
            device.find_channel(name, False).enabled = True
        device.set_kernel_buffers_count(blocks)
        self._buffer = iio.Buffer(device, block_samples, False)
        self._drain = _Drain(self._buffer) if drain else None

    def take(self, n: int) -> Taken:
        """`n` samples that arrived after the call began."""
        before = time.monotonic() - self._left > self._brief_s and self._overflowed()
        dropped, needed = self.blocks + 1, -(-n // self.block_samples)
        if self._drain is not None:
            first, raw = self._drain.take(dropped, needed)
        else:
            for _ in range(dropped):
                self._buffer.refill()
            first, raw = self._position + dropped, []
            for _ in range(needed):
                self._buffer.refill()
                raw.append(self._buffer.read())
            self._position = first + needed
        codes = np.frombuffer(b"".join(raw), dtype="<i2").reshape(-1, 2)[:n]
        lost = self._overflowed()
        self._left = time.monotonic()
        return Taken(codes, first * self.block_samples, before, lost)

    def _overflowed(self) -> bool:
        """Whether samples were lost since the last question."""
        if not self._watch:
            return False
        try:
            lost = bool(self._device.reg_read(_STATUS) & _OVERFLOW)
            if lost:
                self._device.reg_write(_STATUS, _OVERFLOW)
        except OSError:
            # A core without that register cannot tell; phases that move from pilot to pilot still can.
            self._watch = False
            return False
        return lost

    def close(self) -> None:
        """Destroy the buffer, which stops the stream. Safe to call more than once."""
        if self._drain is not None:
            self._drain.stop()
            self._drain = None
        destroy_buffer(self._buffer)
        self._buffer = None


class _Drain(threading.Thread):
    """Reads blocks as they come, and keeps them while somebody waits for some."""

    def __init__(self, buffer: Any) -> None:
        super().__init__(daemon=True, name="pluto receive stream")
        self._buffer = buffer
        self._changed = threading.Condition()
        self._wanted: deque[bytearray] | None = None
        self._position = 0  # blocks delivered
        self._failure: BaseException | None = None
        self._stopping = False
        self.start()

    def run(self) -> None:
        buffer = self._buffer
        while not self._stopping:
            try:
                buffer.refill()
                block = buffer.read()
            except BaseException as error:  # told to whoever waits
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._position += 1
                if self._wanted is not None:
                    self._wanted.append(block)
                    self._changed.notify_all()

    def take(self, dropped: int, needed: int) -> tuple[int, list[bytearray]]:
        """Number of the first of the `needed` blocks that come after `dropped` more, and those blocks."""
        with self._changed:
            first = self._position + dropped
            self._wanted = deque()
            try:
                while len(self._wanted) < dropped + needed:
                    if self._failure is not None:
                        raise self._failure
                    self._changed.wait(1.0)
                return first, list(self._wanted)[dropped : dropped + needed]
            finally:
                self._wanted = None

    def stop(self) -> None:
        self._stopping = True
        if self._failure is None:
            self._buffer.cancel()
        self.join()
