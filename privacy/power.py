"""Power control under own noise.

The noise that protects is fixed before the run; the channel decides only how loud a device must be to arrive
like the others (how is the radio mode's own rule), and which devices are in too deep a fade to take part. No data
enters: the estimates come from pilots, which depend on none. So neither the amplitude nor who was left out tells
anything about an example, and no wrong estimate can cost privacy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from radio.air import AirPlan, ChannelState, PlanRule
from radio.errors import InputError
from radio.inversion import plan_inversion

DEFAULT_BACKOFF = 4.0


def payload_peak(noise_std: ArrayLike, saturation: float, backoff: float = DEFAULT_BACKOFF) -> float:
    """|payload| that must fit below DAC full scale: saturation + backoff standard deviations of the strongest noise."""
    strongest = float(np.max(np.asarray(noise_std, dtype=np.float64), initial=0.0))
    if not (math.isfinite(strongest) and math.isfinite(saturation) and saturation > 0.0):
        raise InputError(
            f"payload of saturation {saturation!r} with noise of standard deviation {strongest!r}; "
            "allowed: both finite, the saturation above 0"
        )
    if not (math.isfinite(backoff) and backoff >= 0.0):
        raise InputError(f"backoff is {backoff!r} standard deviations; allowed: finite, 0 or more (4 is usual)")
    return saturation + backoff * strongest


def clip_probability(backoff: float = DEFAULT_BACKOFF) -> float:
    """Upper bound of the probability that one payload is clipped by the DAC: 2 Q(backoff); 6.3e-5 at 4.

    Under own noise clipping is post-processing of an already protected number: it costs a little accuracy and no
    privacy.
    """
    return math.erfc(backoff / math.sqrt(2.0))


def plan(
    state: ChannelState,
    noise_std: ArrayLike,
    saturation: float,
    truncation: float,
    backoff: float = DEFAULT_BACKOFF,
    peak_amplitude: float = 1.0,
    mean_gain_power: float | None = None,
    rule: PlanRule = plan_inversion,
) -> AirPlan:
    """What everybody is told before the air slot, by the mode's rule and under a peak limit.

    state            channel estimates of this round
    noise_std        own noise of each device, (K,) or one number, payload units
    saturation       largest |payload| before noise (the clip by default)
    truncation       share of the mean gain power below which a device sits the round out
    backoff          standard deviations of noise that must fit below full scale
    peak_amplitude   transmit limit, share of DAC full scale
    mean_gain_power  E|h|^2 if it is known; else the mean of this sounding
    rule             of the mode (`air.mode.plan`); channel inversion for coherent

    Raises InputError for impossible limits.
    """
    return rule(
        state,
        payload_peak(noise_std, saturation, backoff),
        truncation=truncation,
        amplitude_max=peak_amplitude,
        mean_gain_power=mean_gain_power,
    )
