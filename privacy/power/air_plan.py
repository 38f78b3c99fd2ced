"""What everybody is told before an air slot, under own noise.

The noise that protects is fixed before the run; the channel decides only how loud a device must be to arrive
like the others (how is the radio mode's own rule), and which devices are in too deep a fade to take part. No data
enters: the estimates come from pilots, which depend on none. So neither the amplitude nor who was left out tells
anything about an example, and no wrong estimate can cost privacy.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from privacy.power.peak import DEFAULT_BACKOFF, payload_peak
from radio.air import AirPlan, ChannelState, PlanRule
from radio.inversion import plan_inversion


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
    """The round's plan by `rule`, under a peak limit.

    state            channel estimates of this round
    noise_std        own noise of each device, (K,) or one number, payload units
    saturation       largest |payload| before noise (the clip by default)
    truncation       share of the mean gain power below which a device sits the round out
    backoff          standard deviations of noise that must fit below full scale
    peak_amplitude   transmit limit, share of DAC full scale
    mean_gain_power  E|h|^2 if it is known; else the mean of this sounding
    rule             of the mode (`air.mode.plan`; channel inversion for coherent), or `own_noise.MinimumError` around it

    Raises InputError for impossible limits.
    """
    return rule(
        state,
        payload_peak(noise_std, saturation, backoff),
        truncation=truncation,
        amplitude_max=peak_amplitude,
        mean_gain_power=mean_gain_power,
    )
