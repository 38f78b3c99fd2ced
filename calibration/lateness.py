"""When transmissions begin, from some of them: mean, spread, and the latest one to expect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from calibration.finding import Estimate


@dataclass(frozen=True)
class Lateness:
    """mean, spread  of the times, spread their standard deviation
    latest_seen   of them, and `latest` of those to come"""

    mean: Estimate
    spread: Estimate
    latest_seen: float
    latest: Estimate


def lateness(times: Sequence[float], errors: Sequence[float], unit: str = "s") -> Lateness:
    """Of at least 3 times, each with its standard error; intervals of the spread hold from 16 on.

    The mean's error is that of an average, widened as Student's t asks for, and on top the errors of the times themselves,
    which may be common to all. The spread's is from the fourth moment. For the latest one, times are taken as spread evenly
    over an interval: of R such draws the largest M lies a mean gap g below its end on average, so M + g, with the
    standard error g, covers the end in 95 of 100 cases. The largest of times with errors is too large by about two of these.
    """
    x = np.asarray(times, dtype=np.float64)
    count = x.size
    own = float(np.sqrt(np.mean(np.square(errors))))
    s = float(x.std(ddof=1))
    wider = float(stats.t.ppf(0.975, count - 1) / special.ndtri(0.975))
    fourth = float(np.mean((x - x.mean()) ** 4))
    variance_error = math.sqrt(max(fourth - s**4 * (count - 3) / (count - 1), 0.0) / count) * wider
    gap = float(x.max() - x.min()) / (count - 1)
    return Lateness(
        Estimate(float(x.mean()), math.hypot(s / math.sqrt(count) * wider, own), unit),
        Estimate(
            math.sqrt(max(0.0, s**2 - own**2)), math.hypot(variance_error / (2.0 * s) if s > 0.0 else 0.0, own), unit
        ),
        float(x.max()),
        Estimate(float(x.max()) + gap, math.hypot(gap, 2.0 * own), unit),
    )
