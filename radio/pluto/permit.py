"""Who may transmit, where, how strongly and for how long. Nothing radiates without a `TransmitPermit`."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from radio.errors import InputError
from radio.pluto.duty_book import DutyBook, Span

FULL_SCALE_DBM = (
    7.0  # a Pluto's output at gain 0 dB and DAC full scale: ADI's product page, at most; it falls with frequency
)
WRITE_S = 1.0  # between two writings of a book


class PermitError(InputError):
    """A transmission that nothing permits, or that goes beyond what is permitted."""


@dataclass(frozen=True)
class TransmitPermit:
    """What the operator vouches for.

    Attributes:
        low_hz, high_hz: band in which the whole signal must lie.
        max_eirp_dbm: of a full-scale tone: `FULL_SCALE_DBM` + transmit gain + antenna gain - cable loss. Into a cable or a
            dummy load this is the power at its far end.
        duty: share of `duty_period_s` that one unit may be on the air.
        duty_period_s: length of the sliding window in which duty is counted; one hour in most rules for short-range devices.
    """

    low_hz: float
    high_hz: float
    max_eirp_dbm: float
    duty: float = 1.0
    duty_period_s: float = 3600.0

    def __post_init__(self) -> None:
        if not 0.0 < self.low_hz < self.high_hz < math.inf:
            raise PermitError(
                f"the permitted band is {self.low_hz} to {self.high_hz} Hz; its ends must be positive and rise"
            )
        if not math.isfinite(self.max_eirp_dbm):
            raise PermitError(f"max_eirp_dbm is {self.max_eirp_dbm}; a finite power is needed")
        if not (0.0 < self.duty <= 1.0 and 0.0 < self.duty_period_s < math.inf):
            raise PermitError(
                f"duty is {self.duty} of {self.duty_period_s} s; allowed: above 0 and at most 1, of a positive time"
            )

    def check_band(self, name: str, lo_hz: float, bandwidth_hz: float) -> None:
        """Raises PermitError unless LO +- bandwidth/2 lies in the band."""
        low, high = lo_hz - bandwidth_hz / 2.0, lo_hz + bandwidth_hz / 2.0
        if low < self.low_hz or high > self.high_hz:
            raise PermitError(
                f"{name}: a signal {bandwidth_hz / 1e6:g} MHz wide at {lo_hz / 1e6:g} MHz lies outside the permitted "
                f"{self.low_hz / 1e6:g} to {self.high_hz / 1e6:g} MHz; change the LO or the rate, or the permit if you may"
            )

    def max_gain_db(self, antenna_gain_dbi: float = 0.0, cable_loss_db: float = 0.0) -> float:
        """Largest transmit gain within the permitted power."""
        return self.max_eirp_dbm - FULL_SCALE_DBM - antenna_gain_dbi + cable_loss_db

    def check_gain(self, name: str, gain_db: float, antenna_gain_dbi: float = 0.0, cable_loss_db: float = 0.0) -> None:
        """Raises PermitError for a transmit gain beyond the permitted power."""
        most = self.max_gain_db(antenna_gain_dbi, cable_loss_db)
        if gain_db > most + 1e-9:
            eirp = gain_db + FULL_SCALE_DBM + antenna_gain_dbi - cable_loss_db
            raise PermitError(
                f"{name}: transmit gain {gain_db:g} dB makes {eirp:.1f} dBm EIRP; permitted are {self.max_eirp_dbm:g} dBm, "
                f"that is a gain of at most {most:g} dB"
            )


class DutyMeter:
    """Seconds on the air in a sliding window.

    On the air is what sends something. A tone held at weight 0 is off: what is left of it is the LO's leakage, tens of dB
    below the permitted power.

    Transmissions that begin within a thousandth of the window are kept as one; of it, as much counts as can lie in the
    window, so that the sum is exact or too large.

    What earlier runs used of the window is read from `book` before the first transmission, and written there at most once
    in `WRITE_S` and when asked by `keep`: a process that is killed takes that much with it, and what it was just sending. A
    permit without a limit asks no book and leaves nothing in it.

    Args:
        permit: whose duty counts.
        now: monotonic seconds.
        book: of the unit; None: only this process counts.
        wall: seconds of the wall clock, for the book.
    """

    def __init__(
        self,
        permit: TransmitPermit,
        now: Callable[[], float] = time.monotonic,
        book: DutyBook | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._permit = permit
        self._now = now
        self._wall = wall
        self._book = book if permit.duty < 1.0 else None
        self._read = self._book is None
        self._written = -math.inf
        self._past: deque[Span] = deque()
        self._since: float | None = None

    def on(self) -> None:
        if self._since is None:
            self._since = self._now()

    def off(self) -> None:
        if self._since is None:
            return
        start, stop = self._since, self._now()
        self._since, spent = None, stop - start
        if self._past and start - self._past[-1][0] < self._permit.duty_period_s / 1000.0:
            start, _, before = self._past.pop()
            spent += before
        self._past.append((start, stop, spent))

    def keep(self, always: bool = True) -> None:
        """Write the book; without `always` only if it is due. Raises InputError where that is impossible."""
        now = self._now()
        if self._book is None or not self._read or not (always or now - self._written >= WRITE_S):
            return
        self._written, shift = now, self._wall() - now
        spans = [*self._past] if self._since is None else [*self._past, (self._since, now, now - self._since)]
        self._book.write((start + shift, stop + shift, spent) for start, stop, spent in spans)

    def _catch_up(self) -> None:
        if self._read or self._book is None:
            return
        now = self._now()
        shift = now - self._wall()
        # A wall clock that was set back makes the past lie ahead: it then counts as just now.
        earlier = [(start, stop, min(stop + shift, now), spent) for start, stop, spent in self._book.read()]
        self._past.extendleft(reversed([(end - (stop - start), end, spent) for start, stop, end, spent in earlier]))
        self._read = True

    @property
    def left_s(self) -> float:
        """Seconds that may still be sent in the present window. Raises InputError for a book that cannot be read."""
        self._catch_up()
        now = self._now()
        begin = now - self._permit.duty_period_s
        while self._past and self._past[0][1] <= begin:
            self._past.popleft()
        used = sum(min(spent, stop - begin) for _, stop, spent in self._past)
        if self._since is not None:
            used += now - max(self._since, begin)
        return self._permit.duty * self._permit.duty_period_s - used

    def check(self, name: str, seconds: float = 0.0) -> None:
        """Raises PermitError if `seconds` more are not permitted now, or if the allowance is used up; InputError if the book
        does not do."""
        if self._permit.duty >= 1.0:
            return
        left = self.left_s
        if left <= 0.0 or seconds > left:
            raise PermitError(
                f"{name}: the permitted duty of {100.0 * self._permit.duty:g} % of {self._permit.duty_period_s:g} s leaves "
                f"{max(left, 0.0):.3g} s; wait, or send less often"
            )
        self.keep(always=False)
