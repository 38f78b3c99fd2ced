"""Spending a budget when only the present channel is known (causal CSI).

Both rules give round t an SNR u_t = 1 / n_t against the adversary, at most the round's cap, and take 2 gamma^2 u_t from
what is left before anybody transmits. What is taken never comes back: an interrupted round is asked for again and
taken again. Nothing left means no more transmission, whatever the rule would like (`BudgetFilter`).

Under a trusted receiver u is c^2 / N0 and the cap `schedule.snr_caps`; with an untrusted one the cap is
min_k P_k |h_k|^2 / (Na gamma^2), infinite for Na = 0, and `kinked` says what noise and amplitude n = 1/u asks for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from privacy.power.schedule import SLACK, Floats, largest_level
from radio.errors import InputError

WARM_UP = 20  # rounds after which statistics learned from them are good enough


class BudgetFilter:
    """Holds rho and never gives out more, in whatever order and amounts it is asked."""

    def __init__(self, gamma: float, rho: float) -> None:
        if not (gamma > 0.0 and rho > 0.0):
            raise InputError(f"gamma is {gamma!r}, rho {rho!r}; allowed: above 0")
        self._left = rho * (1.0 - SLACK) / (2.0 * gamma**2)

    @property
    def left(self) -> float:
        """SNR that may still be given out."""
        return self._left

    def take(self, wanted: float) -> float:
        """As much of `wanted` SNR as there is; it is spent from now on."""
        granted = min(max(wanted, 0.0), self._left) if wanted == wanted else 0.0  # not a number: nothing
        self._left -= granted
        return granted


class ShareRule:
    """Every round gets the share that its weight deserves of what is left; needs no statistics of the channel.

        u_t = min{ cap_t, left * sqrt(w_t) / sum_{s >= t} sqrt(w_s) }

    Causal, never overdraws, and about 0.1 dB or less from the offline optimum over Rayleigh fading, because
    what a capped round leaves over goes to all later ones.
    """

    def __init__(self, weights: ArrayLike, gamma: float, rho: float) -> None:
        self._root = np.sqrt(np.asarray(weights, dtype=np.float64))
        self._tail = np.cumsum(self._root[::-1])[::-1]
        self.budget = BudgetFilter(gamma, rho)

    def next(self, index: int, cap: float) -> float:
        """SNR of round `index` (0-based), taken from the budget."""
        _check_index(index, self._root.size)
        return self.budget.take(min(cap, self.budget.left * float(self._root[index] / self._tail[index])))


class CertaintyEquivalent:
    """Water-filling over what is to come on average: the level at which E sum_{s >= t} u_s is what is left.

    Takes the distribution of the caps from a sample, or learns it from the rounds as they come: the first `WARM_UP` then
    get what the share rule gives, and the loss stays below 0.01 dB. `every` is how often the level is found anew, `last`
    how many final rounds find it every time, and `guard` keeps a round from eating its successor's share. All three
    matter: the objective is a sum of w/u, so a level that is held for many rounds runs the budget dry just before the
    rounds that weigh most, and the last of them pay tens of dB.
    """

    def __init__(
        self,
        weights: ArrayLike,
        gamma: float,
        rho: float,
        caps: ArrayLike | None = None,
        *,
        every: int = 10,
        last: int = 200,
        guard: bool = True,
    ) -> None:
        if every < 1 or last < 0:
            raise InputError(f"every is {every}, last {last}; allowed: at least 1, and 0 or more")
        self._root = np.sqrt(np.asarray(weights, dtype=np.float64))
        self.budget = BudgetFilter(gamma, rho)
        self._every, self._last, self._guard = every, last, guard
        self._share = ShareRule(weights, gamma, rho)
        self._share.budget = self.budget
        self._whole = self.budget.left
        self._level = 0.0
        self._solved: int | None = None
        self._seen: list[float] | None = None
        if caps is None:
            self._seen = []
        else:
            self._know(np.asarray(caps, dtype=np.float64).ravel())

    def next(self, index: int, cap: float) -> float:
        """SNR of round `index` (0-based), taken from the budget."""
        rounds = self._root.size
        _check_index(index, rounds)
        if self._seen is not None:
            if cap == cap:
                self._seen.append(min(max(cap, 0.0), self._whole))
            if len(self._seen) < WARM_UP:
                return self._share.next(index, cap)
        left = self.budget.left
        due = self._solved is None or index - self._solved >= self._every or rounds - index <= self._last
        if due and left > 0.0:
            if self._seen is not None:
                self._know(np.array(self._seen))
            self._level, self._solved = self._solve(index, left), index
        wanted = min(cap, self._level * float(self._root[index]))
        if self._guard:
            if index == rounds - 1:
                wanted = cap
            else:
                own, after = self._root[index], self._root[index + 1]
                wanted = min(wanted, left * float(own / (own + after)))
        return self.budget.take(wanted)

    def _know(self, sample: Floats) -> None:
        if sample.size == 0 or not (np.isfinite(sample).all() and sample.min() >= 0.0):
            raise InputError("the sample of caps is empty, negative or not finite; give caps of some soundings")
        # E min(x, cap) of the sample is piecewise linear in x with corners at the sample's values
        self._corners = np.concatenate([[0.0], np.sort(sample)])
        self._expected = (np.cumsum(self._corners) + self._corners * np.arange(sample.size, -1, -1)) / sample.size

    def _solve(self, index: int, left: float) -> float:
        root = self._root[index:]
        if self._expected[-1] * root.size <= left * (1.0 - SLACK):
            return float("inf")
        return largest_level(lambda x: float(self._mean(x * root).sum()), left, tolerance=1e-7)

    def _mean(self, x: Floats) -> Floats:
        return np.interp(x, self._corners, self._expected)


def _check_index(index: int, rounds: int) -> None:
    if not 0 <= index < rounds:
        raise InputError(f"round {index} of a schedule of {rounds}; allowed: 0 to {rounds - 1}")
