"""A recording as a radio: the receivers hear again what was heard then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.recording import Recording


class ReplayRadio:
    """`Radio` whose receptions are those of a recording, in their order; it transmits nothing.

    Give it to an air as the receiver, with `SilentRadio`s for the devices and the settings of the time: the air finds
    the channel and the sums that it found then. Rate, frequency and gain are facts of the recording: an air that sets
    others cannot be replayed, and `receive` says so.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._position = 0
        self._closed = False
        first = recording.segments[0]
        self.lo_hz = 0.0 if first.lo_hz is None else first.lo_hz
        self.rate_sps = 1.0 if recording.rate_sps is None else recording.rate_sps
        self.receive_gain_db = 0.0 if first.receive_gain_db is None else first.receive_gain_db
        self.transmit_gain_db = 0.0

    @property
    def clock_samples(self) -> int:
        segment = self._recording.segments[self._segment(max(self._position - 1, 0))]
        return segment.clock + self._position - segment.start

    def _segment(self, position: int) -> int:
        """Index of the segment of a sample."""
        return max(i for i, segment in enumerate(self._recording.segments) if segment.start <= position)

    def receive(self, n: int) -> NDArray[np.complex128]:
        """The next `n` recorded samples. Raises InputError where the recording has no such reception."""
        if self._closed:
            raise InputError("receive on a closed replay; open a new one")
        if n < 1:
            raise InputError(f"n is {n}; at least one sample must be received")
        samples, segments = self._recording.samples, self._recording.segments
        if self._position + n > samples.size:
            raise InputError(
                f"{n} samples are wanted from {self._position} on, but the recording ends after {samples.size}; replay with "
                "the settings it was recorded with"
            )
        index = self._segment(self._position)
        if index + 1 < len(segments) and self._position + n > segments[index + 1].start:
            raise InputError(
                f"{n} samples are wanted from {self._position} on, but the recording is interrupted at "
                f"{segments[index + 1].start}; replay with the settings it was recorded with"
            )
        for what, now, then in (
            ("rate_sps", self.rate_sps, self._recording.rate_sps),
            ("lo_hz", self.lo_hz, segments[index].lo_hz),
            ("receive_gain_db", self.receive_gain_db, segments[index].receive_gain_db),
        ):
            if then is not None and now != then:
                raise InputError(f"{what} is {now}, but was {then} in the recording; replay with {what} = {then}")
        heard = samples[self._position : self._position + n].copy()
        self._position += n
        return heard

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        raise InputError("a replay cannot transmit; give the air SilentRadios as its transmitters")

    def mute(self) -> None:
        """Nothing is ever sent."""

    def close(self) -> None:
        self._closed = True


class SilentRadio:
    """`Radio` of a device in a replay: it takes waveforms and sends nothing; it cannot receive."""

    def __init__(self, *, lo_hz: float = 0.0, rate_sps: float = 1.0) -> None:
        self.lo_hz = lo_hz
        self.rate_sps = rate_sps
        self.transmit_gain_db = 0.0
        self.receive_gain_db = 0.0

    @property
    def clock_samples(self) -> int:
        return 0

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        """Nothing is sent."""

    def receive(self, n: int) -> NDArray[np.complex128]:
        raise InputError("a silent radio cannot receive; listen with a ReplayRadio")

    def mute(self) -> None:
        """Nothing is ever sent."""

    def close(self) -> None:
        """Nothing to give back."""
