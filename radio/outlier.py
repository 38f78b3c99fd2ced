"""Interference that comes and goes: statistics of blocks within a window, and gains that move.

A burst in a sixteenth of the window raises the window's mean residual by a sixteenth of its power, but its own block's by
all of it. Blocks are compared with each other, so the tests need no noise floor to be known and none of their thresholds
moves with the receive gain. All are F tests at a false-alarm probability of 1e-6 a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri, ndtri

FALSE_ALARM = 1e-6
DEVIATIONS = -float(ndtri(FALSE_ALARM / 2.0))  # standard deviations of a Gaussian that chance explains
MEDIAN_DEGREES = 2.0 * math.log(2.0) ** 2  # degrees of freedom for each bin of a variance from the median


def block_count(window: int) -> int:
    """Up to 16 blocks of at least 16 samples."""
    return max(2, min(16, window // 16))


@lru_cache(maxsize=64)
def _limit(above: float, below: float, probability: float) -> float:
    return float(fdtri(above, below, 1.0 - probability))


@dataclass(frozen=True)
class BlockStatistics:
    """Attributes:
    burst_power: the largest block's residual power less the mean of the other blocks', per complex sample.
    burst_db: that block's power over the others' mean.
    burst: it is more than white noise does.
    wander_power: what the blocks' tone amplitudes deviate from their mean by beyond noise, mean square.
    wander: that is more than white noise does.
    """

    burst_power: float
    burst_db: float
    burst: bool
    wander_power: float
    wander: bool


def block_statistics(
    samples: NDArray[np.complex128],
    tone: NDArray[np.complex128],
    amplitude: complex,
    *,
    dc: complex = 0j,
    image: complex = 0j,
    noise_variance: float,
    noise_bins: int,
) -> BlockStatistics:
    """What moves within one window.

    Args:
        samples: (M,) received.
        tone: (M,) unit tone as received with amplitude 1.
        amplitude: of the tone in `samples`.
        dc: constant in `samples`.
        image: amplitude of conj(tone) in `samples`.
        noise_variance: E|n|^2 per complex sample, from the median of `noise_bins` bins.
        noise_bins: see there.
    """
    window = samples.size
    count = block_count(window)
    length = window // count
    used = count * length
    residual = samples[:used] - amplitude * tone[:used]
    if dc != 0.0:
        residual -= dc
    if image != 0.0:
        residual -= image * tone[:used].conj()
    blocks = residual.reshape(count, length)
    power = np.einsum("ij,ij->i", blocks, blocks.conj()).real / length
    largest = int(np.argmax(power))
    others = (power.sum() - power[largest]) / (count - 1)
    ratio = power[largest] / others if others > 0.0 else 1.0
    limit = _limit(2.0 * length, 2.0 * length * (count - 1), FALSE_ALARM / count)
    deviations = np.einsum("ij,ij->i", blocks, tone[:used].conj().reshape(count, length)) / length
    spread = float((np.abs(deviations) ** 2).mean())
    by_noise = max(noise_variance, 1e-300) / length * (count - 1) / count
    bound = _limit(2.0 * (count - 1), MEDIAN_DEGREES * noise_bins, FALSE_ALARM)
    return BlockStatistics(
        burst_power=float(power[largest] - others),
        burst_db=10.0 * math.log10(max(float(ratio), 1e-300)),
        burst=bool(ratio > limit),
        wander_power=max(0.0, spread - by_noise),
        wander=bool(spread > bound * by_noise),
    )


def noise_limit(bins: int, floor_bins: int, trials: int = 1, chance: float = FALSE_ALARM) -> float:
    """What the mean power of `bins` bins of white noise, over the noise floor, exceeds with probability `chance`.

    An F test: a bin is exponentially distributed, and the floor is the median of `floor_bins` of them. The chance is that
    of the largest of `trials` such means.
    """
    return _limit(2.0 * bins, MEDIAN_DEGREES * floor_bins, chance / trials)


def floor_change(
    before: float,
    now: float,
    bins: int,
    *,
    degrees: float = MEDIAN_DEGREES,
    added: float = 0.0,
    quantisation: float = 0.0,
) -> int:
    """1 or -1 if the noise floor rose or fell since sounding by more than chance and what we add ourselves, else 0.

    An F test at `FALSE_ALARM`; medians of 4087 bins (a window of 4096) tell 0.7 dB, means of 4096 samples 0.45 dB.
    Quantisation below one step is no white noise: its power is between 0 and 3 times the usual step^2 / 6, which both
    directions allow for.

    Args:
        before: E|n|^2 per complex sample as sounded, from `bins` bins or samples.
        now: of the payload slot, likewise.
        bins: of either estimate.
        degrees: of freedom for each of them: `MEDIAN_DEGREES` of a median, 2 of a mean.
        added: what the signal itself may add to `now` (phase noise, distortion). It hides a rise of its own size.
        quantisation: the converter's noise, the least of both.
    """
    limit = _limit(degrees * bins, degrees * bins, FALSE_ALARM)
    if now > limit * (before + 2.0 * quantisation + added):
        return 1
    return -1 if limit * (now + 3.0 * quantisation) < before else 0


def gain_dropped(noise_before: float, noise_now: float, bins: int) -> bool:
    """Whether the noise fell to half or less, and by more than its estimates' errors: the receive gain was lowered.

    A signal cannot lower the noise; automatic gain control does. `bins` as in `block_statistics`, of both estimates.
    """
    if not (noise_before > 0.0 and noise_now >= 0.0):
        return False
    limit = _limit(MEDIAN_DEGREES * bins, MEDIAN_DEGREES * bins, FALSE_ALARM)
    return noise_now * max(2.0, limit) < noise_before
