"""Peaks of a payload with Gaussian noise in it: how far to back off, what clipping costs, and spreading over symbols.

Noise is part of what a transmitter must carry. Second-moment power `a^2 (gamma^2 + sigma^2) <= P` is what the textbook
programs limit; a converter limits the peak, `(gamma + b sigma)^2 a^2 <= P`, where b standard deviations of the noise
fit below full scale and what lies beyond is clipped.

Under own noise clipping is post-processing of a number that is already protected: it costs a little accuracy and no
privacy. Where the noise of others is counted, a clipped device adds less than was counted, and the probability of
that belongs in delta (`backoff_for`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radio.errors import InputError

DEFAULT_BACKOFF = 4.0


@dataclass(frozen=True)
class Backoff:
    """deviations  b, standard deviations of noise below full scale
    delta       to be added to the run's delta wherever noise of others is counted
    """

    deviations: float
    delta: float


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
    """Upper bound of the probability that one payload is clipped by the DAC: 2 Q(backoff); 6.3e-5 at 4."""
    return math.erfc(backoff / math.sqrt(2.0))


def backoff_for(transmissions: int, delta: float, epsilon: float) -> Backoff:
    """The smallest back-off whose clipping costs at most `delta`, and what it costs.

        delta_clip = (1 + e^eps) n 2 Q(b)

    because the mechanism differs from the analysed one with probability at most p = n 2 Q(b), under either of two
    neighbouring data sets: P(M' in S) <= P(M in S) + p <= e^eps P(M in S | neighbour) + delta + p, and once more.

    transmissions  n, scalars sent by all devices in all rounds (K T P)
    delta          what clipping may cost; a tenth of the run's delta is usual
    epsilon        of the run

    Raises InputError for impossible arguments.
    """
    from scipy.special import ndtri

    if transmissions < 1:
        raise InputError(f"a back-off for {transmissions} transmissions; allowed: 1 or more")
    if not 0.0 < delta < 1.0:
        raise InputError(f"clipping may cost delta = {delta!r}; allowed: above 0 and below 1 (1e-6 is usual)")
    if not (math.isfinite(epsilon) and epsilon >= 0.0):
        raise InputError(f"epsilon is {epsilon!r}; allowed: finite, 0 or more")
    factor = transmissions * (1.0 + math.exp(min(epsilon, 700.0)))
    deviations = -float(ndtri(max(0.5 * delta / factor, 1e-300)))
    deviations = max(0.0, deviations) * (1.0 + 1e-12)  # the inverse is rounded; stay on the safe side
    return Backoff(deviations, factor * clip_probability(deviations))


def symbols_to_spread(saturation: float, noise_std: float, backoff: float) -> int:
    """L, symbols over which one scalar is repeated so that its peak needs no more power than its second moment.

        L = ceil( (gamma + b sigma)^2 / (gamma^2 + sigma^2) )

    Every symbol carries the same noised scalar at a Lth of the energy, and the receiver adds them up. That is still one
    release: the noise is drawn once. In the programs of this package it is a peak power L times as large.
    """
    peak = payload_peak(noise_std, saturation, backoff)
    return math.ceil(peak**2 / (saturation**2 + noise_std**2) * (1.0 - 1e-12))
