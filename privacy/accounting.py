"""How much privacy a set of transmissions has cost, and how much noise a budget asks for.

One round is one charge: a Poisson-subsampled Gaussian mechanism (sampling rate `q`, noise standard deviation `z`
times the L2 sensitivity of everything the device sends in that round). Adjacency is the privacy unit's (`unit.py`):
an example added or removed, or a device's data replaced, the latter always with q = 1.
Certified by Google's dp-accounting, privacy loss distributions with pessimistic rounding (connect-the-dots), so
every epsilon here is an upper bound. Without sampling (q = 1) the composition is exactly Gaussian and the closed
form of Balle and Wang (arXiv 1805.06530, theorem 8) is used instead.

With sampling the answer holds for charges whose rates, multipliers and number depend on nothing private. No filter is
known that lets them adapt and keeps the bounds of loss distributions (the natural one fails, arXiv 2602.06756):
`filters.py` has those that may adapt.

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

    def covers(self, other: Charge) -> bool:
        """True if `other` costs no more, after whatever else was spent: more noise and a smaller rate only ever
        post-process or dilute a round, so its loss distribution is dominated."""
        return other.sampling_rate <= self.sampling_rate and other.noise_multiplier >= self.noise_multiplier


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
    if rounds < 1:
        raise InputError(f"the noise is to be sized for {rounds} rounds; allowed: 1 or more")
    return noise_scale(epsilon, delta, [(Charge(sampling_rate, 1.0), rounds)])


def noise_scale(epsilon: float, delta: float, shape: Spent) -> float:
    """Smallest factor, rounded up to five digits, by which all multipliers of `shape` are to be scaled so that they
    certify at most `epsilon` at `delta` together. Closed form without sampling.

    Raises InputError for impossible arguments, or when no factor will do that leaves the smallest multiplier within
    0.05 .. 1e6.
    """
    _check_target(epsilon)
    _check_delta(delta)
    merged = _merged(shape)
    if not merged:
        raise InputError("noise is to be sized for no rounds at all; allowed: 1 or more")
    return _noise_scale(float(epsilon), float(delta), merged)


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


def largest_mu(epsilon: float, delta: float) -> float:
    """Largest mu for which a mu-GDP mechanism is (epsilon, delta)-DP, the inverse of `gaussian_epsilon`; rounded down.

    The whole budget of a run without sampling: the sum over its rounds of (sensitivity / noise)^2 may reach mu^2, and
    rho* = mu^2 / 2 in the units of zero-concentrated differential privacy. Raises InputError for impossible arguments.
    """
    _check_target(epsilon)
    _check_delta(delta)
    low, high = 0.0, 1.0
    while gaussian_delta(high, epsilon) <= delta:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:  # `low` always satisfies the inequality
        middle = 0.5 * (low + high)
        if gaussian_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle
    return low


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
    # with wider bins (within 1e-4 of epsilon). Widths are powers of two apart, so
    # that the narrower bins divide the wider ones: then charges that cost no more never certify more (see `covers`).
    weakest = min(charge.noise_multiplier for charge, _ in sampled)
    interval *= 2.0 ** math.floor(math.log2(max(1.0, (1.5 / weakest) ** 2)))
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
def _noise_scale(target: float, delta: float, shape: tuple[tuple[Charge, int], ...]) -> float:
    weakest = min(charge.noise_multiplier for charge, _ in shape)

    def spends(factor: float, interval: float = CERTIFIED_INTERVAL) -> float:
        scaled = ((Charge(c.sampling_rate, factor * c.noise_multiplier), n) for c, n in shape)
        return _epsilon(tuple(scaled), delta, interval)

    limits = (MULTIPLIER_RANGE[0] / weakest, MULTIPLIER_RANGE[1] / weakest)
    if all(charge.sampling_rate == 1.0 for charge, _ in shape):
        spent = sum(count / charge.noise_multiplier**2 for charge, count in shape)
        high = max(limits[0], math.sqrt(spent) / largest_mu(target, delta))
        if high > limits[1]:
            raise _too_strict(target)
    else:
        # Wide bins first, ten times as fast: they overstate epsilon, so their answer is feasible and within a percent of
        # the best, for several kinds of rounds (3 s a look with narrow bins) near enough.
        low, high = _bracket(lambda s: spends(s, SEARCH_INTERVAL), _likely(target, delta, shape), 1.05, target, limits)
        high = _narrow(lambda s: spends(s, SEARCH_INTERVAL), low, high, target, 2e-4) if low > 0.0 else high
        if len(shape) == 1:
            low, high = _bracket(spends, high, 1.003, target, limits)
            high = _narrow(spends, low, high, target, 2e-5) if low > 0.0 else high
    step = 10.0 ** (math.floor(math.log10(high)) - 4)
    digits = max(0, -round(math.log10(step)))
    answer = round(math.ceil(high / step) * step, digits)
    while spends(answer) > target:  # rounding is upwards; this is the certificate
        answer = round(answer + step, digits)
    return answer


def _likely(target: float, delta: float, shape: tuple[tuple[Charge, int], ...]) -> float:
    """Where to start looking: the central limit q^2 sum (e^(1/z^2) - 1) = mu^2 of subsampled Gaussians (Bu, Dong, Long
    and Su, arXiv 1911.11607)."""
    mu = largest_mu(target, delta)

    def excess(log_scale: float) -> float:
        scale = math.exp(log_scale)
        costs = (n * c.sampling_rate**2 * math.expm1(min(600.0, (scale * c.noise_multiplier) ** -2)) for c, n in shape)
        return math.log(sum(costs) / mu**2)

    from scipy.optimize import brentq

    weakest = min(charge.noise_multiplier for charge, _ in shape)
    low, high = (math.log(limit / weakest) for limit in MULTIPLIER_RANGE)
    if excess(low) <= 0.0 or excess(high) >= 0.0:
        return 1.0 / weakest
    return math.exp(float(brentq(excess, low, high, xtol=1e-6)))


def _bracket(
    spends: Callable[[float], float], start: float, factor: float, target: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """(low, high): scales of the noise of which the first spends more than `target` and the second does not.

    Steps grow from `factor` on. low is 0 when even the weakest noise in use spends too little: stay at `high`, on
    the safe side.
    """
    smallest, largest = limits
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
    raise _too_strict(target)


def _too_strict(target: float) -> InputError:
    return InputError(
        f"no noise multiplier up to {MULTIPLIER_RANGE[1]:g} keeps epsilon at {target:g}; raise privacy.epsilon or "
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
