"""How much privacy a set of transmissions has cost, and how much noise a budget asks for.

One round is one charge: a Poisson-subsampled Gaussian mechanism (sampling rate `q`, noise standard deviation `z`
times the L2 sensitivity of everything the device sends in that round). Adjacency: add or remove one example.
Certified by Google's dp-accounting, privacy loss distributions with pessimistic rounding (connect-the-dots), so
every epsilon here is an upper bound. Without sampling (q = 1) the composition is exactly Gaussian and the closed
form of Balle and Wang (arXiv 1805.06530, theorem 8) is used instead.

dp-accounting takes a second to import and is imported on first use only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from radio.errors import InputError

# Bins of the privacy loss distribution: any width gives a valid upper bound, a narrower one a tighter bound.
CERTIFIED_INTERVAL = 1e-4
SEARCH_INTERVAL = 1e-3
# Nobody asks for more rounds than this at once; a longer run simply asks again.
ROUNDS_LIMIT = 1_000_000
SMALLEST_DELTA = 1e-10  # below it the rounding of the FFTs inside the accountant is no longer negligible
MULTIPLIER_RANGE = (0.05, 1e6)


@dataclass(frozen=True, order=True)
class Charge:
    """One round of one device.

    sampling_rate     q, probability with which each example takes part (0 < q <= 1), or any upper bound of it
    noise_multiplier  z, standard deviation of the noise over the L2 sensitivity of the round
    """

    sampling_rate: float
    noise_multiplier: float

    def __post_init__(self) -> None:
        if not 0.0 < self.sampling_rate <= 1.0:
            raise InputError(f"sampling rate is {self.sampling_rate!r}; allowed: above 0, at most 1")
        if not (math.isfinite(self.noise_multiplier) and self.noise_multiplier > 0.0):
            raise InputError(f"noise multiplier is {self.noise_multiplier!r}; allowed: finite and above 0")


Spent = Sequence[tuple[Charge, int]]


def epsilon(charges: Spent, delta: float) -> float:
    """Certified epsilon at `delta` of all `charges` together (each with its count, in any order); 0 for none.

    Raises InputError if delta is unusable.
    """
    _check_delta(delta)
    return _epsilon(_merged(charges), float(delta))


def noise_multiplier(epsilon: float, delta: float, sampling_rate: float, rounds: int) -> float:
    """Smallest noise multiplier, rounded up to five digits, for which `rounds` rounds certify at most `epsilon` at
    `delta`.

    Raises InputError for impossible arguments, or when no multiplier within 0.05 .. 1e6 will do.
    """
    _check_target(epsilon)
    _check_delta(delta)
    if rounds < 1:
        raise InputError(f"the noise is to be sized for {rounds} rounds; allowed: 1 or more")
    Charge(sampling_rate, 1.0)  # explains an impossible rate
    return _noise_multiplier(float(epsilon), float(delta), float(sampling_rate), int(rounds))


def rounds_allowed(charge: Charge, spent: Spent, epsilon: float, delta: float, limit: int = ROUNDS_LIMIT) -> int:
    """How many more rounds like `charge` fit into (epsilon, delta) after `spent`; never more than `limit`."""
    _check_target(epsilon)
    _check_delta(delta)
    return _rounds_allowed(charge, _merged(spent), float(epsilon), float(delta), int(limit))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon of a mu-GDP mechanism: delta = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu) (Balle and Wang).

    Rounded up.
    """
    if mu <= 0.0 or gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:  # `high` always satisfies the inequality
        middle = 0.5 * (low + high)
        if gaussian_delta(mu, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of a mu-GDP mechanism at `epsilon` (same equation); in logarithms, because e^eps alone overflows."""
    from scipy.special import log_ndtr

    first = float(log_ndtr(0.5 * mu - epsilon / mu))
    second = epsilon + float(log_ndtr(-0.5 * mu - epsilon / mu))
    return math.exp(first) * -math.expm1(min(0.0, second - first))


def _check_delta(delta: float) -> None:
    if not SMALLEST_DELTA <= delta < 1.0:
        raise InputError(
            f"delta is {delta!r}; allowed: {SMALLEST_DELTA} to below 1, of which at most 1 over the number of "
            "examples makes sense"
        )


def _check_target(target: float) -> None:
    if not (math.isfinite(target) and target > 0.0):
        raise InputError(f"epsilon is {target!r}; allowed: finite and above 0 (0.5 to 10 are usual)")


def _merged(charges: Iterable[tuple[Charge, int]]) -> tuple[tuple[Charge, int], ...]:
    counts: dict[Charge, int] = {}
    for charge, count in charges:
        if count < 0:
            raise InputError(f"a charge was counted {count} times; allowed: 0 or more")
        counts[charge] = counts.get(charge, 0) + count
    return tuple(sorted((charge, count) for charge, count in counts.items() if count > 0))


@lru_cache(maxsize=4096)
def _epsilon(charges: tuple[tuple[Charge, int], ...], delta: float, interval: float = CERTIFIED_INTERVAL) -> float:
    unsampled = sum(count / charge.noise_multiplier**2 for charge, count in charges if charge.sampling_rate == 1.0)
    sampled = [(charge, count) for charge, count in charges if charge.sampling_rate < 1.0]
    if not sampled:
        return gaussian_epsilon(math.sqrt(unsampled), delta)
    # All parts of a composition need one common interval. A weak noise has losses of the order 1/z^2 and can do
    # with wider bins (z = 0.68: 1e-5 of epsilon lost for an eighth of the time).
    weakest = min(charge.noise_multiplier for charge, _ in sampled)
    interval *= max(1.0, (2.0 / weakest) ** 2)
    parts = [_loss(charge, count, interval) for charge, count in sampled]
    if unsampled:
        parts.append(_loss(Charge(1.0, unsampled**-0.5), 1, interval))
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return max(0.0, float(total.get_epsilon_for_delta(delta)))


@lru_cache(maxsize=8)
def _loss(charge: Charge, count: int, interval: float) -> Any:
    """Privacy loss distribution of `count` rounds (few are kept: each is up to some MiB)."""
    single = _single_loss(charge, interval)
    return single if count == 1 else single.self_compose(count)


@lru_cache(maxsize=64)
def _single_loss(charge: Charge, interval: float) -> Any:
    from dp_accounting.pld import privacy_loss_distribution as pld

    return pld.from_gaussian_mechanism(
        charge.noise_multiplier,
        sampling_prob=charge.sampling_rate,
        value_discretization_interval=interval,
        neighboring_relation=pld.privacy_accountant.NeighboringRelation.ADD_OR_REMOVE_ONE,
    )


@lru_cache(maxsize=256)
def _noise_multiplier(target: float, delta: float, sampling_rate: float, rounds: int) -> float:
    def spends(multiplier: float, interval: float = CERTIFIED_INTERVAL) -> float:
        return _epsilon(((Charge(sampling_rate, multiplier), rounds),), delta, interval)

    # Wide bins first, ten times as fast: they overstate epsilon, so their answer is feasible and usually within a
    # percent of the best.
    low, high = _bracket(lambda z: spends(z, SEARCH_INTERVAL), 1.0, 2.0, target)
    high = _narrow(lambda z: spends(z, SEARCH_INTERVAL), low, high, target, 2e-4) if low > 0.0 else high
    low, high = _bracket(spends, high, 1.003, target)
    high = _narrow(spends, low, high, target, 2e-5) if low > 0.0 else high
    step = 10.0 ** (math.floor(math.log10(high)) - 4)
    digits = max(0, -round(math.log10(step)))
    answer = round(math.ceil(high / step) * step, digits)
    while spends(answer) > target:  # rounding is upwards; this is the certificate
        answer = round(answer + step, digits)
    return answer


def _bracket(spends: Callable[[float], float], start: float, factor: float, target: float) -> tuple[float, float]:
    """(low, high): multipliers of which the first spends more than `target` and the second does not.

    Steps grow from `factor` on. low is 0 when even the weakest noise in use spends too little: stay at `high`, on
    the safe side.
    """
    smallest, largest = MULTIPLIER_RANGE
    here = start
    if spends(here) <= target:
        while here > smallest:
            below = max(here / factor, smallest)
            if spends(below) > target:
                return below, here
            here, factor = below, factor * factor if factor < 2.0 else factor
        return 0.0, here
    while here < largest:
        above = min(here * factor, largest)
        if spends(above) <= target:
            return here, above
        here, factor = above, factor * factor if factor < 2.0 else factor
    raise InputError(
        f"no noise multiplier up to {largest:g} keeps epsilon at {target:g}; raise privacy.epsilon or "
        "privacy.delta, or lower learning.rounds"
    )


def _narrow(spends: Callable[[float], float], low: float, high: float, target: float, tolerance: float) -> float:
    """Feasible end of the bracket, narrowed to `tolerance` relative.

    Log epsilon is nearly linear in log multiplier, so interpolate, and step a little to either side of the guess in
    turn so that both ends close in.
    """
    value_low, value_high = spends(low), spends(high)
    side = 1.0
    for _ in range(60):
        if high / low - 1.0 <= tolerance:
            break
        share = 0.5
        if 0.0 < value_high < target < value_low < math.inf:
            share = math.log(value_low / target) / math.log(value_low / value_high)
        width = math.log(high / low)
        nudge = side * max(0.25 * tolerance, 0.02 * width)
        guess = low * math.exp(min(max(share * width + nudge, 0.02 * width), 0.98 * width))
        side = -side
        value = spends(guess)
        if value > target:
            low, value_low = guess, value
        else:
            high, value_high = guess, value
    return high


@lru_cache(maxsize=256)
def _rounds_allowed(
    charge: Charge, spent: tuple[tuple[Charge, int], ...], target: float, delta: float, limit: int
) -> int:
    def spends(rounds: int) -> float:
        return _epsilon(_merged([*spent, (charge, rounds)]), delta)

    if limit < 1 or spends(1) > target:
        return 0
    low, value_low = 1, spends(1)
    high, value_high = 1, value_low
    while value_high <= target:
        low, value_low = high, value_high
        if high == limit:
            return limit
        high = min(4 * high, limit)
        value_high = spends(high)
    # Epsilon grows roughly with the root of the rounds: interpolate in it, and halve as well in case that stalls.
    while high - low > 1:
        root_low, root_high = math.sqrt(low), math.sqrt(high)
        share = 0.5 if math.isinf(value_high) else (target - value_low) / (value_high - value_low)
        guess = round((root_low + share * (root_high - root_low)) ** 2)
        guess = min(max(guess, low + 1), high - 1)
        for candidate in (guess, min(max(guess + 1, low + 1), high - 1), (low + high) // 2):
            if not low < candidate < high:
                continue
            value = spends(candidate)
            if value > target:
                high, value_high = candidate, value
            else:
                low, value_low = candidate, value
    return low
