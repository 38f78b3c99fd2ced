"""The error of an over-the-air sum, in closed form, from what a calibration measures.

All of it for a payload's peak X = 1; multiply by X^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SumError:
    """E|error of the sum|^2 = noise + size S_1 + cross S_1^2 + payload S_2, with S_1 = sum_k E|x_k| and S_2 = sum_k E x_k^2.

    noise    with nobody's payload: the receiver's
    size     noise times signal, where energies add
    cross    of the devices' signals with each other, where energies add
    payload  of errors that scale with what is sent: wrong channel estimates, gains and phases that move
    """

    noise: float
    size: float = 0.0
    cross: float = 0.0
    payload: float = 0.0

    def of(self, devices: float, mean_size: float = 0.5, mean_square: float = 1.0 / 3.0) -> float:
        """For payloads of E|x| and E x^2; default: uniform in [-1, 1]."""
        sizes = devices * mean_size
        return self.noise + self.size * sizes + self.cross * sizes**2 + self.payload * devices * mean_square

    def times(self, factor: float) -> SumError:
        return SumError(self.noise * factor, self.size * factor, self.cross * factor, self.payload * factor)

    def given(self, payloads: Floats) -> Floats:
        """(P,) for payloads (n, P) that are known, in peaks; where energies add, those of one sign share a slot and interfere."""
        n = payloads.shape[0]
        square = (payloads**2).sum(axis=0)
        together = np.maximum(payloads, 0.0).sum(axis=0) ** 2 + np.minimum(payloads, 0.0).sum(axis=0) ** 2 - square
        cross = 2.0 * self.cross / (1.0 - 1.0 / n) * together if n > 1 else 0.0
        return np.asarray(self.noise + self.size * np.abs(payloads).sum(axis=0) + cross + self.payload * square)

    def longer(self, window: float, pilots: float = 1.0) -> SumError:
        """With windows and pilots longer by these factors: what chance does in a window falls with its length."""
        return SumError(self.noise / window, self.size / window, self.cross / window, self.payload / pilots)


def mean_of(errors: Sequence[SumError]) -> SumError:
    """Over rounds, each with its own channel: the mean of errors is not the error of a mean channel."""
    rows = np.array([astuple(one) for one in errors])
    return SumError(*(float(value) for value in rows.mean(axis=0)))


def coherent_error(power: Floats, relative_variance: Floats, noise_variance: float, window: int) -> SumError:
    """Channel inversion: noise N / (2 M eta^2) with eta^2 = min_k |h_k|^2 (`radio.inversion`), and half of each estimate's
    relative variance, that in phase with the payload (`radio.misalignment`).

    Args:
        power: (n,) |h_k|^2 of those who take part.
        relative_variance: (n,) E|h_hat - h|^2 / |h|^2 by the pilots' noise.
        noise_variance: N = E|n|^2 per complex sample.
        window: M.
    """
    alignment = float(np.min(power))
    return SumError(noise_variance / (2.0 * window * alignment), payload=float(np.mean(relative_variance)) / 2.0)


def energy_error(power: Floats, relative_variance: Floats, noise_variance: float, window: int) -> SumError:
    """Signed energies in two slots of M/2 samples each (`radio.energy_slot.energy_variance`, pluto.md section 4).

    With r = N / min_k |h_k|^2, payloads of independent signs and m = M/2 the slots' variances add up to

        [2 r^2 + 2 r S_1 + (1 - 1/n) S_1^2 / 2] / m

    and a power that is off by Var(G_k)/G_k^2 takes its payload with it.

    Args:
        relative_variance: (n,) Var(|h_hat|) / |h|^2, of amplitudes; a power's is four times that.
        others as `coherent_error`.
    """
    ratio, half = noise_variance / float(power.min()), window // 2
    return SumError(
        noise=2.0 * ratio**2 / half,
        size=2.0 * ratio / half,
        cross=(1.0 - 1.0 / power.size) / (2.0 * half),
        payload=4.0 * float(np.mean(relative_variance)),
    )


FORMS = {"coherent": coherent_error, "energy": energy_error}


def unexplained(closed: SumError, devices: float, measured: float, standard_error: float) -> float:
    """What a measured mean squared error with uniform payloads has beyond the closed form, per unit of sum_k E x_k^2; 0 within
    two standard errors.

    Gains and phases that move, which the closed forms leave out, make errors that scale with the payload. Negative where less
    was measured.
    """
    beyond = measured - closed.of(devices)
    return beyond / (devices / 3.0) if abs(beyond) > 2.0 * standard_error else 0.0
