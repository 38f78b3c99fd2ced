"""What other ways of accounting would admit or charge, beside the exact one: for tables, never for enforcement.

All are for rounds without sampling and measure the signal by rho = sum_t (sensitivity_t / noise_t)^2 / 2, the unit of
zero-concentrated differential privacy, which for Gaussian noise adds up over rounds. A rule's `rho` is the largest it admits
for (epsilon, delta), its `epsilon` what it charges for a rho; each is the inverse of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from privacy.accounting import Spent, gaussian_epsilon, largest_mu

_LARGEST_RHO = 1e6


@dataclass(frozen=True)
class Rule:
    """One way of accounting: rho(epsilon, delta), epsilon(rho, delta) and where it is from."""

    name: str
    source: str
    rho: Callable[[float, float], float]
    epsilon: Callable[[float, float], float]


def liu_simeone_rho(epsilon: float, delta: float) -> float:
    """R_dp = (sqrt(epsilon + q^2) - q)^2 with C(q) = 1/delta and C(x) = sqrt(pi) x e^(x^2)."""
    q = inverse_c(1.0 / delta)
    return epsilon**2 / (math.sqrt(epsilon + q * q) + q) ** 2  # the same without cancellation


def liu_simeone_epsilon(rho: float, delta: float) -> float:
    """epsilon = rho + 2 q sqrt(rho)."""
    return rho + 2.0 * inverse_c(1.0 / delta) * math.sqrt(rho)


def inverse_c(value: float) -> float:
    """x with sqrt(pi) x e^(x^2) = value: 2 x^2 e^(2 x^2) = 2 value^2 / pi, a Lambert W."""
    from scipy.special import lambertw

    return math.sqrt(0.5 * float(lambertw(2.0 * value * value / math.pi).real))


def zcdp_rho(epsilon: float, delta: float) -> float:
    """(sqrt(epsilon + ln(1/delta)) - sqrt(ln(1/delta)))^2. The Rényi conversion of Mironov (arXiv 1702.07476, proposition
    3), epsilon = rho a + ln(1/delta) / (a - 1), gives the same at its best order."""
    log = -math.log(delta)
    return epsilon**2 / (math.sqrt(epsilon + log) + math.sqrt(log)) ** 2


def zcdp_epsilon(rho: float, delta: float) -> float:
    """rho + 2 sqrt(rho ln(1/delta))."""
    return rho + 2.0 * math.sqrt(-rho * math.log(delta))


def cks_rho(epsilon: float, delta: float) -> float:
    """Largest rho whose best Rényi order converts to at most epsilon."""
    return _inverse(cks_epsilon, epsilon, delta)


def cks_epsilon(rho: float, delta: float) -> float:
    """min over a > 1 of rho a + ln(1 / (a delta)) / (a - 1) + ln(1 - 1/a)."""
    if rho <= 0.0:
        return 0.0
    from scipy.optimize import minimize_scalar

    def at(log_order: float) -> float:  # order = 1 + e^log_order
        over = math.exp(log_order)
        return rho * (1.0 + over) - (math.log(delta) + math.log1p(over)) / over - math.log1p(1.0 / over)

    near = 0.5 * math.log(-math.log(delta) / rho)  # the best order of the older conversion
    found = minimize_scalar(at, bounds=(near - 3.0, near + 3.0), method="bounded", options={"xatol": 1e-9})
    return max(0.0, float(found.fun))


def advanced_composition(rounds: int) -> Rule:
    """Classical Gaussian mechanisms (Dwork and Roth, theorem A.1) put together by advanced composition (theorem 3.20), half
    of delta for either: what the first papers on private learning over the air did."""

    def total(per_round: float, delta: float) -> float:
        return math.sqrt(-2.0 * rounds * math.log(0.5 * delta)) * per_round + rounds * per_round * math.expm1(per_round)

    def signal(per_round: float, delta: float) -> float:
        return rounds * per_round**2 / (4.0 * math.log(1.25 * rounds / (0.5 * delta)))

    def epsilon(rho: float, delta: float) -> float:
        return total(math.sqrt(rho * 4.0 * math.log(1.25 * rounds / (0.5 * delta)) / rounds), delta)

    def rho(target: float, delta: float) -> float:
        return signal(_inverse(total, target, delta), delta)

    return Rule(f"advanced composition, {rounds} rounds", "Dwork and Roth 2014, theorems 3.20 and A.1", rho, epsilon)


def exact_rho(epsilon: float, delta: float) -> float:
    """mu*^2 / 2."""
    return 0.5 * largest_mu(epsilon, delta) ** 2


def exact_epsilon(rho: float, delta: float) -> float:
    """Of mu = sqrt(2 rho)."""
    return gaussian_epsilon(math.sqrt(2.0 * rho), delta)


PAPER = Rule("R_dp", "Liu and Simeone, arXiv 2006.05459; arXiv 2604.12401 eq. 17", liu_simeone_rho, liu_simeone_epsilon)
ZCDP = Rule("zCDP = RDP", "Bun and Steinke, arXiv 1605.02065, proposition 1.3", zcdp_rho, zcdp_epsilon)
CKS = Rule("RDP, better conversion", "Canonne, Kamath, Steinke, arXiv 2004.00010, proposition 12", cks_rho, cks_epsilon)
EXACT = Rule("exact", "Balle and Wang, arXiv 1805.06530, theorem 8", exact_rho, exact_epsilon)
RULES = (PAPER, ZCDP, CKS, EXACT)


def rdp_epsilon(charges: Spent, delta: float) -> float:
    """Epsilon by dp-accounting's Rényi accountant at its own orders, the better conversion included; sampling counts."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    for charge, count in charges:
        event = PoissonSampledDpEvent(charge.sampling_rate, GaussianDpEvent(charge.noise_multiplier))
        accountant.compose(event, count)
    return float(accountant.get_epsilon(delta))


def _inverse(rule: Callable[[float, float], float], target: float, delta: float) -> float:
    """Where an increasing rule reaches `target`."""
    from scipy.optimize import brentq

    high = 1.0
    while rule(high, delta) < target and high < _LARGEST_RHO:
        high *= 2.0
    return float(brentq(lambda value: rule(value, delta) - target, 0.0, high, xtol=1e-14, rtol=1e-12))
