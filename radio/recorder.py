"""A receiver that remembers what it heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.radio import Radio, clock_epoch
from radio.recording import Mark, Recording, Segment, plain


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class RecordingRadio:
    """`Radio` around another; between `start` and `finish` it keeps a copy of all that is received, with its marks.

    It changes nothing: what the air gets is what the wrapped radio gave. It takes 16 bytes a sample of memory.

    Args:
        radio: the receiver.
        full_scale: ADC code of full scale, where the radio's samples are code / full scale: 2047 for a loopback ADC of
            12 bits, 2048 for a Pluto. Recordings are then exact. Default: the radio's own `full_scale` if it has one.
        hardware: the receiver in words; default: the radio's own `hardware` if it has one.
        now: time of day for the recording, RFC 3339 in UTC.
    """

    def __init__(
        self,
        radio: Radio,
        *,
        full_scale: int | None = None,
        hardware: str | None = None,
        now: Callable[[], str] = _utc,
    ) -> None:
        self._radio = radio
        self._full_scale: int | None = getattr(radio, "full_scale", None) if full_scale is None else full_scale
        self._hardware: str = getattr(radio, "hardware", "") if hardware is None else hardware
        self._now = now
        self.recording = False
        self._reset()

    def _reset(self) -> None:
        self._heard: list[NDArray[np.complex128]] = []
        self._spans: list[tuple[int, int, int]] = []  # of each reception: start in the recording, clock, samples
        self._segments: list[Segment] = []
        self._marks: list[Mark] = []
        self._rate_sps = 0.0
        self._length = 0

    def start(self) -> None:
        """Begin a recording, forgetting what an unfinished one held."""
        self._reset()
        self.recording = True

    def finish(self, facts: Mapping[str, Any] | None = None) -> Recording | None:
        """End the recording and return it, with `facts` about the whole; None if nothing was received."""
        self.recording = False
        if not self._heard:
            return None
        unmarked = [
            Mark("slot", start, n)
            for start, _, n in self._spans
            if not any(m.start < start + n and start < m.start + m.length for m in self._marks)
        ]
        done = Recording(
            samples=np.concatenate(self._heard),
            rate_sps=self._rate_sps,
            segments=tuple(self._segments),
            marks=tuple(sorted([*self._marks, *unmarked], key=lambda m: m.start)),
            hardware=self._hardware,
            facts=plain(facts or {}),
            full_scale=self._full_scale,
        )
        self._reset()
        return done

    def mark(self, label: str, start: int, length: int, **facts: Any) -> None:
        """See `radio.marker.Marker`. Raises ValueError for samples that were not received since `start()`."""
        if not self.recording:
            return
        for first, clock, n in reversed(self._spans):  # a slot that was repeated has its clock twice: the last counts
            if clock <= start < clock + n:
                self._marks.append(Mark(label, first + start - clock, length, plain(facts)))
                return
        raise ValueError(f"mark of {label!r} at clock {start}, where nothing was received")

    def receive(self, n: int) -> NDArray[np.complex128]:
        if not self.recording:
            return self._radio.receive(n)
        time, rate = self._now(), self._radio.rate_sps
        heard = self._radio.receive(n)
        clock = self._radio.clock_samples - heard.size
        if self._heard and rate != self._rate_sps:
            raise InputError(
                f"the sampling rate changed from {self._rate_sps:g} to {rate:g} in a recording; a recording has one rate"
            )
        self._rate_sps = rate
        last, gain, lo = self._segments[-1] if self._segments else None, self._radio.receive_gain_db, self._radio.lo_hz
        follows = bool(self._spans) and clock == self._spans[-1][1] + self._spans[-1][2]
        if last is None or not follows or last.receive_gain_db != gain or last.lo_hz != lo:
            self._segments.append(Segment(self._length, clock, lo, gain, time))
        self._spans.append((self._length, clock, heard.size))
        self._heard.append(heard.copy())
        self._length += heard.size
        return heard

    @property
    def clock_samples(self) -> int:
        return self._radio.clock_samples

    @property
    def clock_epoch(self) -> int:
        return clock_epoch(self._radio)

    @property
    def lo_hz(self) -> float:
        return self._radio.lo_hz

    @lo_hz.setter
    def lo_hz(self, value: float) -> None:
        self._radio.lo_hz = value

    @property
    def rate_sps(self) -> float:
        return self._radio.rate_sps

    @rate_sps.setter
    def rate_sps(self, value: float) -> None:
        self._radio.rate_sps = value

    @property
    def transmit_gain_db(self) -> float:
        return self._radio.transmit_gain_db

    @transmit_gain_db.setter
    def transmit_gain_db(self, value: float) -> None:
        self._radio.transmit_gain_db = value

    @property
    def receive_gain_db(self) -> float:
        return self._radio.receive_gain_db

    @receive_gain_db.setter
    def receive_gain_db(self, value: float) -> None:
        self._radio.receive_gain_db = value

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        self._radio.transmit(samples, cyclic)

    def mute(self) -> None:
        self._radio.mute()

    def close(self) -> None:
        self._radio.close()
