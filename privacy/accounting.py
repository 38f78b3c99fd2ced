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

from privacy.gaussian import check_delta, check_target
from privacy.gaussian import gaussian_delta as gaussian_delta
from privacy.gaussian import gaussian_epsilon as gaussian_epsilon
from privacy.gaussian import largest_mu as largest_mu
from privacy.gaussian_loss import gaussian_loss
from radio.errors import InputError

# Bins of the privacy loss distribution: any width gives a valid upper bound, a narrower one a tighter bound.
CERTIFIED_INTERVAL = 1e-4
SEARCH_INTERVAL = 1e-3
# Nobody asks for more rounds than this at once; a longer run simply asks again.
ROUNDS_LIMIT = 1_000_000
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
        """True if `other` never certifies more than this, whatever else was spent: more noise and a smaller rate only
        post-process or dilute a round. A round with sampling and one without never cover each other, because their
        certificates are rounded differently."""
        return (
            other.sampling_rate <= self.sampling_rate
            and other.noise_multiplier >= self.noise_multiplier
            and (other.sampling_rate == 1.0) == (self.sampling_rate == 1.0)
        )


Spent = Sequence[tuple[Charge, int]]


def epsilon(charges: Spent, delta: float) -> float:
    """Certified epsilon at `delta` of all `charges` together (each with its count, in any order); 0 for none.

    Raises InputError if delta is unusable.
    """
    check_delta(delta)
    return _epsilon(_merged(charges), float(delta))


def noise_multiplier(epsilon: float, delta: float, sampling_rate: float, rounds: int, tight: bool = True) -> float:
    """Smallest noise multiplier, rounded up to five digits, for which `rounds` rounds certify at most `epsilon` at
    `delta`. For `tight` see `noise_scale`.

    Raises InputError for impossible arguments, or when no multiplier within 0.05 .. 1e6 will do.
    """
    if rounds < 1:
        raise InputError(f"the noise is to be sized for {rounds} rounds; allowed: 1 or more")
    return noise_scale(epsilon, delta, [(Charge(sampling_rate, 1.0), rounds)], tight)


def noise_scale(epsilon: float, delta: float, shape: Spent, tight: bool = True) -> float:
    """Smallest factor, rounded up to five digits, by which all multipliers of `shape` are to be scaled so that they
    certify at most `epsilon` at `delta` together. Closed form without sampling.

    tight  False: certified with loss distributions of wide bins, several times as fast, for up to a percent more noise

    Raises InputError for impossible arguments, or when no factor will do that leaves the smallest multiplier within
    0.05 .. 1e6.
    """
    check_target(epsilon)
    check_delta(delta)
    merged = _merged(shape)
    if not merged:
        raise InputError("noise is to be sized for no rounds at all; allowed: 1 or more")
    return _noise_scale(float(epsilon), float(delta), merged, tight)


def fits(charges: Spent, epsilon: float, delta: float) -> bool:
    """Whether all `charges` together certify at most (epsilon, delta)."""
    check_target(epsilon)
    check_delta(delta)
    merged = _merged(charges)
    return _epsilon(merged, float(delta)) <= _ceiling(merged, float(epsilon), float(delta))


def rounds_allowed(charge: Charge, spent: Spent, epsilon: float, delta: float, limit: int = ROUNDS_LIMIT) -> int:
    """How many more rounds like `charge` fit into (epsilon, delta) after `spent`; never more than `limit`."""
    check_target(epsilon)
    check_delta(delta)
    return _rounds_allowed(charge, _merged(spent), float(epsilon), float(delta), int(limit))


def _merged(charges: Iterable[tuple[Charge, int]]) -> tuple[tuple[Charge, int], ...]:
    counts: dict[Charge, int] = {}
    for charge, count in charges:
        if count < 0:
            raise InputError(f"a charge was counted {count} times; allowed: 0 or more")
        counts[charge] = counts.get(charge, 0) + count
    return tuple(sorted((charge, count) for charge, count in counts.items() if count > 0))


def _ceiling(charges: Iterable[tuple[Charge, int]], target: float, delta: float) -> float:
    """What the certificate of `charges` must not exceed. Composing in another order changes a sampled one by some 3e-14 of
    epsilon over delta (rounding of the FFTs); with this headroom whatever fits in one order fits in all."""
    return target * (1.0 - 1e-13 / delta) if any(c.sampling_rate < 1.0 for c, _ in charges) else target


@lru_cache(maxsize=4096)
def _epsilon(
    charges: tuple[tuple[Charge, int], ...],
    delta: float,
    interval: float = CERTIFIED_INTERVAL,
    varying: Charge | None = None,
) -> float:
    """`varying` is the kind whose count a search tries out: all others are composed once and kept."""
    unsampled = sum(count / charge.noise_multiplier**2 for charge, count in charges if charge.sampling_rate == 1.0)
    sampled = [(charge, count) for charge, count in charges if charge.sampling_rate < 1.0]
    if not sampled:
        return gaussian_epsilon(math.sqrt(unsampled), delta)
    # All parts of a composition need one common interval. A weak noise has losses of the order 1/z^2 and can do with
    # wider bins (within 1e-4 of epsilon). Widths are powers of two apart, so that the narrower bins divide the wider
    # ones: then charges that cost no more never certify more (`Charge.covers`).
    weakest = min(charge.noise_multiplier for charge, _ in sampled)
    interval *= 2.0 ** math.floor(math.log2(max(1.0, (1.5 / weakest) ** 2)))
    parts = [*sampled, (Charge(1.0, unsampled**-0.5), 1)] if unsampled else sampled
    apart = [part for part in parts if part[0] == varying]
    fixed = tuple(part for part in parts if part[0] != varying)
    total = _composition(fixed, interval) if fixed else _loss(*apart.pop(), interval)
    for charge, count in apart:
        total = total.compose(_loss(charge, count, interval))
    return max(0.0, float(total.get_epsilon_for_delta(delta)))


@lru_cache(maxsize=4)
def _composition(parts: tuple[tuple[Charge, int], ...], interval: float) -> Any:
    total = _loss(*parts[0], interval)
    for charge, count in parts[1:]:
        total = total.compose(_loss(charge, count, interval))
    return total


@lru_cache(maxsize=8)
def _loss(charge: Charge, count: int, interval: float) -> Any:
    """Privacy loss distribution of `count` rounds (few are kept: each is up to some MiB)."""
    single = _single_loss(charge, interval)
    return single if count == 1 else single.self_compose(count)


@lru_cache(maxsize=64)
def _single_loss(charge: Charge, interval: float) -> Any:
    return gaussian_loss(charge.noise_multiplier, charge.sampling_rate, interval)


@lru_cache(maxsize=256)
def _noise_scale(target: float, delta: float, shape: tuple[tuple[Charge, int], ...], tight: bool) -> float:
    weakest = min(charge.noise_multiplier for charge, _ in shape)
    ceiling = _ceiling(shape, target, delta)

    def spends(factor: float, interval: float = CERTIFIED_INTERVAL if tight else SEARCH_INTERVAL) -> float:
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
        # the best, for several kinds of rounds (seconds a look with narrow bins) near enough.
        low, high = _bracket(lambda s: spends(s, SEARCH_INTERVAL), _likely(target, delta, shape), 1.05, ceiling, limits)
        high = _narrow(lambda s: spends(s, SEARCH_INTERVAL), low, high, ceiling, 2e-4) if low > 0.0 else high
        if tight and len(shape) == 1:
            # Narrow bins cost less by a share that hardly varies, and wide ones tell by how much less noise will do.
            slope = math.log(spends(1.001 * high, SEARCH_INTERVAL) / spends(high, SEARCH_INTERVAL)) / math.log(1.001)
            high = max(limits[0], high * (ceiling / spends(high)) ** (1.0 / slope)) if slope < 0.0 else high
    step = 10.0 ** (math.floor(math.log10(high)) - 4)
    digits = max(0, -round(math.log10(step)))
    answer = round(math.ceil(high / step) * step, digits)
    while spends(answer) > ceiling:  # this is the certificate
        answer = round(answer + step, digits)
    while len(shape) == 1 and answer - step >= limits[0] and spends(round(answer - step, digits)) <= ceiling:
        answer = round(answer - step, digits)
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
    if charge.sampling_rate == 1.0 and all(other.sampling_rate == 1.0 for other, _ in spent):
        before = sum(count / other.noise_multiplier**2 for other, count in spent)
        room = (largest_mu(target, delta) ** 2 - before) * charge.noise_multiplier**2
        most = max(0, min(limit, math.floor(room)))
        # The sums round too: certify.
        return most if most == 0 or _epsilon(_merged([*spent, (charge, most)]), delta) <= target else most - 1
    ceiling = _ceiling([*spent, (charge, 1)], target, delta)

    def spends(rounds: int) -> float:
        return _epsilon(_merged([*spent, (charge, rounds)]), delta, varying=charge)

    if limit < 1 or spends(1) > ceiling:
        return 0
    low, value_low = 1, spends(1)
    high, value_high = 1, value_low
    while value_high <= ceiling:
        low, value_low = high, value_high
        if high == limit:
            return limit
        high = min(4 * high, limit)
        value_high = spends(high)
    # Epsilon grows roughly with the root of the rounds: interpolate in it, and halve as well in case that stalls.
    while high - low > 1:
        root_low, root_high = math.sqrt(low), math.sqrt(high)
        share = 0.5 if math.isinf(value_high) else (ceiling - value_low) / (value_high - value_low)
        guess = round((root_low + share * (root_high - root_low)) ** 2)
        guess = min(max(guess, low + 1), high - 1)
        for candidate in (guess, min(max(guess + 1, low + 1), high - 1), (low + high) // 2):
            if not low < candidate < high:
                continue
            value = spends(candidate)
            if value > ceiling:
                high, value_high = candidate, value
            else:
                low, value_low = candidate, value
    return low
