"""Time in the emulator: virtual by default, or the computer's."""

from __future__ import annotations

import time


class Clock:
    """One time for all units, in seconds since the emulator began.

    Virtual time moves when a receiver captures; waiting costs nothing, and the same commands in the same order find the
    same air. A receiver that stays open captures without a gap, as one does whose samples are read as fast as they come;
    a command falls between two samples, behind what its queue holds already. Only what takes longer on hardware than a
    queue lasts makes time pass: tuning, changing the rate, opening a receiver. Several receivers hear the same instants
    if they are read in turn; one that was not read while others made changes goes on after the last of these.

    In real time it is the computer's clock. Who wants samples has to wait for them, and who reads too late has lost some:
    the queue was full.
    """

    def __init__(self, realtime: bool = False) -> None:
        self.realtime = realtime
        self._begin = time.monotonic()
        self._latest = self._changed = 0.0

    @property
    def now(self) -> float:
        return time.monotonic() - self._begin if self.realtime else self._latest

    def command(self, seconds: float, rate_sps: float) -> None:
        """A command that changes something took `seconds`, here rounded to whole samples."""
        self._latest += round(seconds * rate_sps) / rate_sps
        self._changed = self._latest

    def pass_until(self, seconds: float) -> None:
        """It is at least this late now: somebody had to wait. In real time, `wait` is what waits."""
        self._latest = max(self._latest, seconds)

    def capture(self, after: float, seconds: float) -> float:
        """Where a capture of this length begins that cannot begin before `after`."""
        begin = max(after, self.now if self.realtime else self._changed)
        self._latest = max(self._latest, begin + seconds)
        return begin

    def wait(self, until: float) -> None:
        """Return when it is this late; in virtual time it is at once."""
        if self.realtime:
            time.sleep(max(0.0, until - self.now))
