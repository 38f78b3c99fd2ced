"""The radios under calibration: who sends, who listens, and how much radio time has gone by.

The same for loopback, virtual and real Plutos; steps know only this and `radio.radio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radio.cell import Cell
from radio.errors import InputError
from radio.marker import mark
from radio.radio import Radio
from radio.recorder import RecordingRadio
from radio.recording import Recording

PAUSE_S = 0.02  # after the receiver was tuned, or not read for a while: synthesisers settle, and its ring has run over
MOST_RECORDED = 1 << 23  # samples of a step that are kept: 8 s at 1 MS/s, 134 MB of memory and 34 MB on disk


class _Listener(RecordingRadio):
    """Counts the radios' time, and stops recording before the memory is full: the beginning of a step shows what it does."""

    def __init__(self, radio: Radio, took: Callable[[int], None]) -> None:
        super().__init__(radio)
        self._took = took

    def receive(self, n: int) -> NDArray[np.complex128]:
        if self.recording and self._length + n > MOST_RECORDED:
            self.recording = False
        heard = super().receive(n)
        self._took(n)
        return heard


class Rig:
    """See the module.

    Args:
        transmitters: K radios, silent.
        receiver: the radio that listens; what it hears within `recording` is kept.
        names: (K,) of the devices, for people ("device-0 (ip:192.168.3.1)").
        guard_samples: the latest start of a transmission, thrown away before what is measured.
        offset_max_hz: largest carrier offset of two of these radios.
        shared_clock: one reference feeds all of them (as the station file says; the carrier step checks it).
        wait: lets time pass (sleeping; on simulated radios their clock is moved).
        reception_s: the radios' time for a reception of n samples.
        ended_s: asked right after a reception of n samples: when it ended, on a clock that waits do not stop.
        start_lag_s: within which a transmission begins, as the station file promises (`guard_samples` rests on it).
        band_hz: in which the devices may send; None: nothing is known but that they may at the LO they have.
        facts: of the radios, for the profile: serials, firmware, temperatures; asked anew at each call.
        say: a line for the person at the terminal.
        cell: lays the airs' settings over radios; see `cell`.

    Attributes:
        radio_s: radio time so far: receptions and waits.
        now_s: when the last reception ended, see `ended_s`.
    """

    def __init__(
        self,
        transmitters: Sequence[Radio],
        receiver: Radio,
        *,
        names: Sequence[str],
        guard_samples: int,
        offset_max_hz: float,
        shared_clock: bool,
        wait: Callable[[float], None],
        reception_s: Callable[[int], float] | None = None,
        ended_s: Callable[[int], float] | None = None,
        start_lag_s: float = 0.0,
        band_hz: tuple[float, float] | None = None,
        facts: Callable[[], dict[str, Any]] = dict,
        say: Callable[[str], None] = lambda _: None,
        cell: Callable[[Sequence[Radio], Radio], Cell] | None = None,
    ) -> None:
        self.transmitters = list(transmitters)
        self.receiver = _Listener(receiver, self._took)
        self.names = tuple(names)
        self.guard_samples = guard_samples
        self.offset_max_hz = offset_max_hz
        self.shared_clock = shared_clock
        self.start_lag_s = start_lag_s
        self.band_hz = band_hz
        self.say = say
        self.facts = facts
        self.radio_s = self.now_s = 0.0
        self._wait = wait
        self._reception_s = reception_s
        self._ended_s = ended_s
        self._cell = cell

    @property
    def devices(self) -> int:
        return len(self.transmitters)

    @property
    def rate_sps(self) -> float:
        return self.receiver.rate_sps

    @property
    def lo_hz(self) -> float:
        return self.receiver.lo_hz

    def cell(self) -> Cell:
        """The radios for the air of any mode, at the receive gain they have now. Do not close that air: it closes the radios.

        Raises InputError for a rig that was made without.
        """
        if self._cell is None:
            raise InputError("this rig has no airs; it was made without `cell`")
        made = self._cell(self.transmitters, self.receiver)
        return replace(made, receive_gain_db=self.receiver.receive_gain_db)

    def idle(self, n: int) -> NDArray[np.complex128]:
        """(n,) samples while nobody sends."""
        self.mute()
        return self._hear(n, "idle", 0)

    def hear(
        self, waves: Mapping[int, NDArray[np.complex128]], n: int, label: str = "pilot", **facts: Any
    ) -> NDArray[np.complex128]:
        """(n,) samples while each device in `waves` sends its wave over and over, all of them anew; muted afterwards."""
        with self.on_air(waves):
            return self._hear(n, label, self.guard_samples, **self._who(waves), **facts)

    @contextmanager
    def on_air(self, waves: Mapping[int, NDArray[np.complex128]]) -> Iterator[None]:
        """The devices in `waves` send them, over and over, until the end of the block; muted afterwards, whatever happened.

        `more` hears what is on the air; the first reception should drop `guard_samples`, see there.
        """
        self.mute()
        try:
            for device, wave in waves.items():
                self.transmitters[device].transmit(wave, cyclic=True)
            yield
        finally:
            self.mute()

    def more(self, n: int, label: str = "pilot", guard: int = 0, **facts: Any) -> NDArray[np.complex128]:
        """(n,) further samples of what is on the air, after `guard` that are thrown away."""
        return self._hear(n, label, guard, **facts)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._wait(seconds)
        self.radio_s += seconds

    def mute(self) -> None:
        for radio in self.transmitters:
            radio.mute()

    @contextmanager
    def recording(self) -> Iterator[list[Recording]]:
        """Keep what is heard, `MOST_RECORDED` samples of it at most; the list has the recording after the block, if there
        was anything."""
        kept: list[Recording] = []
        self.receiver.start()
        try:
            yield kept
        finally:
            done = self.receiver.finish()
            if done is not None:
                kept.append(done)

    def _hear(self, n: int, label: str, guard: int, **facts: Any) -> NDArray[np.complex128]:
        heard = self.receiver.receive(guard + n)
        mark(self.receiver, label, self.receiver.clock_samples - heard.size, heard.size, guard_samples=guard, **facts)
        return heard[guard:]

    def _took(self, n: int) -> None:
        self.radio_s += n / self.rate_sps if self._reception_s is None else self._reception_s(n)
        self.now_s = self.receiver.clock_samples / self.rate_sps if self._ended_s is None else self._ended_s(n)

    @staticmethod
    def _who(waves: Mapping[int, NDArray[np.complex128]]) -> dict[str, Any]:
        return {"device": next(iter(waves))} if len(waves) == 1 else {"active": sorted(waves)}
