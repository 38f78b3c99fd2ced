"""Power control: what a run uses (`power.plan`) by name; the other rules by their files.

air_plan, own_noise, peak     own noise, the default: noise fixed ahead, the channel sets amplitudes and who takes part
water_filling, kinked, online, sign   the opt-in threats: when to spend a budget over the rounds of a run
paper, design                 the paper's own rules, and T and A as choices
oracle                        the same programs for a solver (cvxpy)
"""

from privacy.power.air_plan import plan
from privacy.power.own_noise import MinimumError
from privacy.power.peak import DEFAULT_BACKOFF, clip_probability, payload_peak

__all__ = ["DEFAULT_BACKOFF", "MinimumError", "clip_probability", "payload_peak", "plan"]
