"""Light re-calibration during a run: every N-th round also carries a public scalar, and the radio is held to its profile.

The check costs one scalar of air in such a round: it goes through the round's own pilots, plan and slots, so what it is off by
is what the run's own sums are off by. The noise comes from the all-off slot with which every round begins. Nobody's data are
in any of it, so there is nothing to charge.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from calibration.expectation import Measured, measured
from calibration.prediction import SumError
from calibration.profile import Profile
from radio.air import Air, AirPlan, ChannelState, Received
from radio.errors import StoppedEarly
from radio.streams import stream

EVERY = 20  # rounds, where a profile is given and nothing else is said
NOISE_BOX_DB = 3.0
GAIN_BOX_DB = 3.0  # and four times what the gains were seen to move from round to round
ERRORS = 10  # checks whose errors are judged together
TOLERANCE = 2.0  # times the expected mean square: 3 dB
FALSE_ALARM = 1e-6
CONFIRMED = 2  # checks in a row that must be outside: one may be somebody else's burst


class LeftBox(StoppedEarly):
    """The radio is not the one that was calibrated any more."""


@dataclass(frozen=True)
class Check:
    """One check. `score`: error in expected standard deviations; NaN where the air erased it or nothing is expected.

    sent, received  of the public scalar, summed over the devices that took part, in payload peaks
    noise_db        noise of the all-off slot against the profile, or dBFS without one
    gain_db         largest change of a device's gain against the profile; 0 without one
    """

    slot: int
    sent: float
    received: float
    score: float
    noise_db: float
    gain_db: float
    outside: str

    def record(self) -> dict[str, Any]:
        """For diagnostics: JSON."""
        values = {"sent": self.sent, "received": self.received, "score": self.score, "noise_db": self.noise_db}
        values["gain_db"] = self.gain_db
        found: dict[str, Any] = {key: value if math.isfinite(value) else None for key, value in values.items()}
        return found | {"outside": self.outside}


class WatchedAir:
    """`Air` around another, with checks.

    Args:
        air: of the run.
        every: rounds from check to check.
        seed: of the public scalars.
        profile: what the radio is held to; without one checks are made and judged by nothing.
        expected: error of the run's sums; None: the scalars' errors are judged by nothing.
        remedy: how to go on after a stop, the end of a message.

    Attributes:
        last: the last check, until `take`n.
    """

    def __init__(
        self,
        air: Air,
        every: int,
        seed: int,
        profile: Profile | None = None,
        expected: SumError | None = None,
        remedy: str = "",
    ) -> None:
        self.devices = air.devices
        self.checks = 0
        self._air = air
        self._every = every
        self._seed = seed
        self._remedy = remedy
        self._known: Measured | None = None
        self._moving = 0.0
        if profile is not None:
            self._known = measured(profile.facts, air.mode.name)
            if profile.recommendation is not None and air.mode.csi == "complex":
                self._moving = profile.recommendation.csi_moving
        self._expected = expected
        self._waited = every  # the first round is checked
        self._last: Check | None = None
        self._scores: deque[float] = deque(maxlen=ERRORS)
        self._outside = 0
        self._left = ""
        self._state: ChannelState | None = None

    @property
    def mode(self) -> Any:
        return self._air.mode

    @property
    def on_air_samples(self) -> int:
        """See `radio.air.Exposed`; only of an air that has it."""
        return self._air.on_air_samples  # type: ignore[attr-defined]

    @property
    def faults(self) -> tuple[str, ...]:
        """See `radio.air.Explaining`."""
        return getattr(self._air, "faults", ())

    def sound(self, round_index: int) -> ChannelState:
        """Of the air; what is known to move after the pilots is in the variance of the gains, for power control and privacy.

        Raises LeftBox, before anything is charged, where the last checks say so.
        """
        if self._left:
            raise LeftBox(self._left)
        self._state = self._air.sound(round_index)
        if self._moving == 0.0:
            return self._state
        moved = self._moving**2 * np.abs(self._state.gains) ** 2
        return replace(self._state, gain_variance=self._state.gain_variance + moved)

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        self._waited += 1
        if self._waited < self._every or not plan.active.any():
            return self._air.aggregate(round_index, payloads, plan)
        public = plan.payload_peak * stream(self._seed, "check scalars", round_index).uniform(
            -1.0, 1.0, (self.devices, 1)
        )
        received = self._air.aggregate(round_index, np.hstack([payloads, public]), plan)
        if not received.erased:  # else the next round is checked instead
            self._waited = 0
            self._judge(round_index, public, plan, received)
        return replace(
            received, total=received.total[:-1], variance=received.variance[:-1], snr_db=received.snr_db[:-1]
        )

    def take(self) -> Check | None:
        """The check of the round before, once."""
        found, self._last = self._last, None
        return found

    def close(self) -> None:
        self._air.close()

    def _judge(self, slot: int, public: NDArray[np.float64], plan: AirPlan, received: Received) -> None:
        assert self._state is not None
        self.checks += 1
        peak, active = plan.payload_peak, plan.active
        sent = float(self._air.mode.outcome(public[active])[0]) / peak
        found = float(received.total[-1]) / peak
        score = math.nan
        if self._expected is not None:
            score = (found - sent) / math.sqrt(float(self._expected.given(public[active] / peak)[0]))
            self._scores.append(score)
        noise_db = 10.0 * math.log10(max(self._state.noise_variance, 1e-30))
        gain_db = 0.0
        why = []
        if self._known is not None:
            noise_db -= 10.0 * math.log10(max(self._known.noise_variance, 1e-30))
            if abs(noise_db) > NOISE_BOX_DB:
                why.append(f"the noise is {noise_db:+.1f} dB off the profile's ({NOISE_BOX_DB:g} are allowed)")
            gain_db, device = self._gain_change(self._known, active)
            allowed = GAIN_BOX_DB + 4.0 * self._known.spread_db
            if abs(gain_db) > allowed:
                why.append(
                    f"the gain of device {device} is {gain_db:+.1f} dB off the profile's ({allowed:.1f} are allowed)"
                )
            if wrong := self._errors():
                why.append(wrong)
        self._outside = self._outside + 1 if why else 0
        self._last = Check(slot, sent, found, score, noise_db, gain_db, "; ".join(why))
        if self._outside >= CONFIRMED:
            self._left = (
                f"the radio has left its calibrated box, in {self._outside} checks in a row: {'; '.join(why)}. All radios are "
                f"silent and nothing was charged for this round{self._remedy}"
            )

    def _gain_change(self, known: Measured, active: NDArray[np.bool_]) -> tuple[float, int]:
        assert self._state is not None
        power = known.power[: self.devices]
        both = active & (power > 0.0) & (np.abs(self._state.gains) > 0.0)
        if not both.any() or self._air.mode.csi == "none":
            return 0.0, 0
        change = np.zeros(self.devices)
        change[both] = 20.0 * np.log10(np.abs(self._state.gains[both])) - 10.0 * np.log10(power[both])
        device = int(np.argmax(np.abs(change)))
        return float(change[device]), device

    def _errors(self) -> str:
        """Whether the last checks' errors are larger than chance and the tolerance explain."""
        n = len(self._scores)
        total = float(np.square(self._scores).sum()) if n else 0.0
        if n < ERRORS or total <= TOLERANCE * float(chdtri(n, FALSE_ALARM)):
            return ""
        beyond = 10.0 * math.log10(total / n)
        return f"known scalars are {beyond:.1f} dB further off than the profile expects, over {n} checks"
