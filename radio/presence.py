"""Whether anybody is there: what many slots together say, where one slot's energy cannot.

Energies of fading signals are often small, and near the noise a slot of votes and a slot of silence look alike. A threshold
on one slot that silence passes once in 1e6 erases a third of the good votes of five devices at 10 dB per received scalar and
all of them at 0 dB. The slots before it know better: how strong the devices are does not change from slot to slot. So the
receiver keeps Bayes' rule running over a hidden state, "silent" or "signals of mean energy s" on a grid of s:

    p(state | all energies)  ~  p(energy | state) sum_before p(state | before) p(before | energies so far)

    energy | s ~ Gamma of mean 2 L + s and variance 2 L + (2 L)^2 v + 2 s + s^2 (1 + 1/n) / 2

in units of one bin's noise: 2 L bins of noise, a floor that is itself known with relative variance v only, and n Rayleigh
amplitudes, each on either side (the mean of sum_sides m^2 over fair votes is (n^2 + n) / 2). It begins with even odds and
falls silent, or wakes, once in 1e5 slots.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from radio.outlier import MEDIAN_DEGREES

CHANGES = 1e-5  # of a slot, that the devices fall silent or come back
LEAST_TRUST = 1e-2  # probability of silence beyond which a slot is no vote
_LEVELS = 64
_MOST = 1e9
_RANGE = (0.02, 1e7)  # of s, the lower one in standard deviations of the noise


class Presence:
    """See the module.

    A receiver to whom nobody ever sends gives a number with a probability of about 1 % in all its slots together (Ville's
    inequality, even odds at the start). Which slots are erased depends on those before: a run that resumes begins anew.

    Args:
        bins: L, of each of the two detectors.
        window: bins that the noise floor is the median of.
    """

    def __init__(self, bins: int, window: int) -> None:
        self._noise = 2.0 * bins
        self._noise_variance = self._noise + self._noise**2 * 2.0 / (MEDIAN_DEGREES * window)
        low, high = _RANGE
        self._signals = np.concatenate([[0.0], np.geomspace(low * np.sqrt(self._noise), high, _LEVELS)])
        self._odds: NDArray[np.float64] = np.full(_LEVELS + 1, 0.5 / _LEVELS)
        self._odds[0] = 0.5

    @property
    def silence(self) -> float:
        """Probability that the last slot was silent."""
        return float(self._odds[0])

    def hear(self, energy: float, noise: float, voters: int) -> bool:
        """Whether a slot is trusted to hold votes.

        Args:
            energy: of both detectors.
            noise: mean energy of noise in one bin.
            voters: n, devices that were to send.
        """
        # Without any noise, any energy is a signal.
        energy = min(max(energy / noise, 1e-9), _MOST) if noise > 0.0 else _MOST if energy > 0.0 else 1e-9
        mean = self._noise + self._signals
        spread = self._noise_variance + 2.0 * self._signals + self._signals**2 * (1.0 + 1.0 / voters) / 2.0
        shape, scale = mean**2 / spread, spread / mean
        # what scipy.stats.gamma.logpdf says, without its second of imports at every start of a command
        log = xlogy(shape - 1.0, energy / scale) - energy / scale - gammaln(shape) - np.log(scale)
        silent, heard = self._odds[0], self._odds[1:]
        before = np.empty_like(self._odds)
        before[0] = silent * (1.0 - CHANGES) + CHANGES * heard.sum()
        before[1:] = heard * (1.0 - CHANGES) + CHANGES * silent / _LEVELS
        weight = before * np.exp(log - log.max())
        self._odds = weight / weight.sum()
        return self.silence <= LEAST_TRUST
