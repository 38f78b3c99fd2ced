"""What a calibration found out: numbers with their uncertainty, judged against limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from scipy.special import ndtri

if TYPE_CHECKING:
    from radio.pictures import Picture  # matplotlib and scipy.signal take a second and a half, and runs read profiles

Verdict = Literal["pass", "warn", "fail", "unknown"]


@dataclass(frozen=True)
class Estimate:
    """A number and what is known of its error.

    value           in `unit`
    standard_error  of it, same unit; inf: nothing was measured, 0: exact
    unit            "dB", "dBFS", "Hz", "s", "rad", "" ...
    """

    value: float
    standard_error: float
    unit: str = ""

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided, of a normal error."""
        half = float(ndtri((1.0 + level) / 2.0)) * self.standard_error
        return self.value - half, self.value + half

    def covers(self, truth: float, level: float = 0.95) -> bool:
        low, high = self.interval(level)
        return low <= truth <= high

    def __str__(self) -> str:
        """As many digits as its error leaves: `-12.31 +- 0.04 dB` (95 %)."""
        half = self.interval()[1] - self.value
        unit = f" {self.unit}" if self.unit else ""
        if not (math.isfinite(half) and half > 0.0):
            return f"{self.value:.4g}{unit}"
        places = max(0, 1 - math.floor(math.log10(half)))
        return f"{self.value:.{places}f} \u00b1 {half:.{places}f}{unit}"


@dataclass(frozen=True)
class Limit:
    """What is allowed; None: no bound on that side."""

    low: float | None = None
    high: float | None = None

    def judge(self, estimate: Estimate) -> Verdict:
        """Fail if the value is outside, warn if its 95 % interval reaches outside, unknown without a measurement."""
        if not (math.isfinite(estimate.value) and math.isfinite(estimate.standard_error)):
            return "unknown"
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= estimate.value <= high:
            return "fail"
        least, most = estimate.interval()
        return "pass" if low <= least and most <= high else "warn"

    def __str__(self) -> str:
        if self.low is None:
            return "" if self.high is None else f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    step      that found it
    subject   "receiver", or the device's name
    quantity  in words, "carrier offset"
    estimate  None where the finding is a condition ("interference") and no number
    limit     None: no judgement, only a fact
    verdict   by the limit, or what the step says
    advice    what to do, where something is to be done
    """

    step: str
    subject: str
    quantity: str
    estimate: Estimate | None = None
    limit: Limit | None = None
    verdict: Verdict = "pass"
    advice: str = ""

    @classmethod
    def judged(
        cls, step: str, subject: str, quantity: str, estimate: Estimate, limit: Limit, advice: str = ""
    ) -> Finding:
        """With the limit's verdict; `advice` is kept where that is not a pass."""
        verdict = limit.judge(estimate)
        return cls(step, subject, quantity, estimate, limit, verdict, "" if verdict == "pass" else advice)


@dataclass(frozen=True)
class Outcome:
    """What a step leaves.

    findings  for the report
    facts     for the profile's section of this step: numbers, strings, lists and tables of them (TOML); later steps, power
              control and the diff of two sessions read them
    pictures  for the report
    series    arrays for the data set (npz), by name
    """

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    series: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return any(finding.verdict == "fail" for finding in self.findings)
