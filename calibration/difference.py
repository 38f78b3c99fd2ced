"""Two sessions compared: what has changed by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from calibration.finding import Estimate
from calibration.profile import Found, Profile

CHANCE = 0.01  # that any of all comparisons of two sessions of one unchanged bench is called significant


@dataclass(frozen=True)
class Difference:
    """One quantity that both sessions measured. `score`: the change in its standard errors; `limit`: beyond chance."""

    subject: str
    quantity: str
    before: Estimate
    after: Estimate
    limit: float

    @property
    def change(self) -> Estimate:
        error = math.hypot(self.before.standard_error, self.after.standard_error)
        return Estimate(self.after.value - self.before.value, error, self.after.unit)

    @property
    def score(self) -> float:
        change = self.change
        if change.standard_error > 0.0:
            return change.value / change.standard_error
        return 0.0 if change.value == 0.0 else math.copysign(math.inf, change.value)

    @property
    def significant(self) -> bool:
        return abs(self.score) > self.limit


@dataclass(frozen=True)
class Differences:
    """`settings`: lines about what the sessions were bound to; `quantities` by size of the change."""

    settings: tuple[str, ...]
    quantities: tuple[Difference, ...]


def differences(before: Profile, after: Profile) -> Differences:
    """Of all quantities with an uncertainty that both have. The limit is Bonferroni's: it knows how many are looked at."""
    old, new = _measured(before), _measured(after)
    both = [key for key in old if key in new and old[key].unit == new[key].unit]
    limit = float(ndtri(1.0 - CHANCE / (2.0 * max(1, len(both)))))
    found = [Difference(key[1], f"{key[0].replace('_', ' ')}: {key[2]}", old[key], new[key], limit) for key in both]
    settings = []
    for what in ("air", "clock", "lo_hz", "rate_sps", "receive_gain_db", "settings"):
        a, b = getattr(before, what), getattr(after, what)
        if a != b:
            settings.append(f"{what}: {a} in A, {b} in B")
    serials = [[radio.serial for radio in (one.receiver, *one.device)] for one in (before, after)]
    if serials[0] != serials[1]:
        settings.append("the radios are not the same: " + " / ".join(", ".join(row) for row in serials))
    return Differences(tuple(settings), tuple(sorted(found, key=lambda one: -abs(one.score))))


def _measured(profile: Profile) -> dict[tuple[str, str, str], Estimate]:
    def estimate(one: Found) -> Estimate | None:
        if one.value is None or not math.isfinite(one.value) or not math.isfinite(one.standard_error or 0.0):
            return None
        return Estimate(one.value, one.standard_error or 0.0, one.unit)

    found = {(one.step, one.subject, one.quantity): estimate(one) for one in profile.finding}
    return {key: value for key, value in found.items() if value is not None}
