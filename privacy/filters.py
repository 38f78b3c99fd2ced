"""Filters: budgets for noise that adapts to what was released before, and that cannot be overspent.

When the noise of a round, or whether there is one at all, depends on earlier releases, and so on private data, adding up
privacy losses is no longer enough; a filter is a rule for stopping under which (epsilon, delta) holds all the same.

GdpFilter  without sampling: stops before the sum of (sensitivity / noise)^2 passes mu*^2. As tight as if all noise had been
           fixed ahead (Smith and Thakurta, arXiv 2210.17520).
RdpFilter  with sampling: stops before the Rényi divergences at one order, fixed ahead, pass the budget at that order (Feldman
           and Zrnic, arXiv 2008.11193). Loss distributions, which are tighter, admit no such rule in general
           (arXiv 2602.06756), and neither does choosing the best order afterwards.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

from privacy.accounting import Charge, gaussian_epsilon, largest_mu
from radio.errors import BudgetError, InputError

ORDERS = (*range(2, 33), *range(34, 65, 2), *range(68, 129, 4), 160, 192, 256, 384, 512)


class Filter(Protocol):
    """A budget that is spent charge by charge; each charge may depend on all that was released before it."""

    def would_exceed(self, charge: Charge) -> bool:
        """True if the budget does not hold one more round like this."""
        ...

    def spend(self, charge: Charge) -> None:
        """Take one round off the budget. Raises BudgetError, and takes nothing, if it does not fit."""
        ...

    def epsilon(self) -> float:
        """What a run that stops here would cost had all been fixed ahead, for display; the guarantee is the budget's."""
        ...


def adaptive_filter(epsilon: float, delta: float, expected: Charge) -> Filter:
    """The filter for charges like `expected`, a guess made before the run: exact without sampling, else by Rényi divergence
    at the order which that guess makes best. Raises InputError for an impossible budget."""
    if expected.sampling_rate == 1.0:
        return GdpFilter(epsilon, delta)
    return RdpFilter(epsilon, delta, best_order(epsilon, delta, expected))


class GdpFilter:
    """Budget mu*^2 of Gaussian differential privacy; for charges without sampling."""

    def __init__(self, epsilon: float, delta: float) -> None:
        self._delta = delta
        self._target = epsilon
        self._budget = largest_mu(epsilon, delta) ** 2 * (1.0 - 1e-15)  # squaring may have rounded upwards
        self._spent = 0.0

    def would_exceed(self, charge: Charge) -> bool:
        return self._after(charge) > self._budget

    def spend(self, charge: Charge) -> None:
        after = self._after(charge)
        if after > self._budget:
            raise BudgetError(_refusal(self, charge, self._target))
        self._spent = after

    def epsilon(self) -> float:
        return gaussian_epsilon(math.sqrt(self._spent), self._delta)

    @property
    def left(self) -> float:
        """What remains of mu*^2: a round of sensitivity / noise = m takes m^2."""
        return max(0.0, self._budget - self._spent)

    def _after(self, charge: Charge) -> float:
        if charge.sampling_rate < 1.0:
            raise InputError(
                f"a charge at sampling rate {charge.sampling_rate:.6g} for a filter without sampling; allowed: 1, or "
                "use the Rényi filter"
            )
        return _sum_up(self._spent, math.nextafter(charge.noise_multiplier**-2.0, math.inf))


class RdpFilter:
    """Budget of Rényi divergence at one `order`, which must not depend on anything private; see `best_order`."""

    def __init__(self, epsilon: float, delta: float, order: int) -> None:
        self.order = order
        self._delta = delta
        self._target = epsilon
        self._budget = _rdp_budget(epsilon, delta, order)
        self._spent = 0.0
        if self._budget <= 0.0:
            raise InputError(
                f"order {order} holds nothing for epsilon {epsilon:g} at delta {delta:g}; allowed: a larger one "
                "(see best_order)"
            )

    def would_exceed(self, charge: Charge) -> bool:
        return self._after(charge) > self._budget

    def spend(self, charge: Charge) -> None:
        after = self._after(charge)
        if after > self._budget:
            raise BudgetError(_refusal(self, charge, self._target))
        self._spent = after

    def epsilon(self) -> float:
        from dp_accounting.rdp import rdp_privacy_accountant as rdp

        return float(rdp.compute_epsilon([self.order], [self._spent], self._delta)[0])

    def _after(self, charge: Charge) -> float:
        return _sum_up(self._spent, _divergence(charge, self.order))


def best_order(epsilon: float, delta: float, expected: Charge) -> int:
    """The order among `ORDERS` at which most rounds like `expected` fit into (epsilon, delta)."""
    largest_mu(epsilon, delta)  # explains an impossible budget
    return max(ORDERS, key=lambda order: _rdp_budget(epsilon, delta, order) / _divergence(expected, order))


def _rdp_budget(epsilon: float, delta: float, order: int) -> float:
    """Rényi divergence that converts to epsilon (Canonne, Kamath, Steinke, arXiv 2004.00010, proposition 12)."""
    largest_mu(epsilon, delta)
    if order < 2:
        raise InputError(f"order {order}; allowed: integers from 2")
    return epsilon + (math.log(delta) + math.log(order)) / (order - 1) - math.log1p(-1.0 / order)


@lru_cache(maxsize=4096)
def _divergence(charge: Charge, order: int) -> float:
    """Rényi divergence of one round at an integer order (Mironov, Talwar, Zhang, arXiv 1908.10530), rounded up."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant([order])
    accountant.compose(PoissonSampledDpEvent(charge.sampling_rate, GaussianDpEvent(charge.noise_multiplier)))
    # Sums of exponentials of sums of logarithms: good to some 1e-13 of their largest terms, which are of order 1.
    return float(accountant.rdp[0]) * (1.0 + 1e-9) + 1e-13


def _sum_up(spent: float, cost: float) -> float:
    return math.nextafter(spent + cost, math.inf)


def _refusal(budget: Filter, charge: Charge, target: float) -> str:
    return (
        f"the privacy budget is spent: epsilon {budget.epsilon():.6g} of {target:g}, and one more round (sampling rate "
        f"{charge.sampling_rate:.6g}, noise multiplier {charge.noise_multiplier:.6g}) does not fit. Nothing was "
        "transmitted; more noise may still fit"
    )
