"""What live weights of a held tone amount to, from readings of it in the order in which they were taken.

    a_j = h w_j (1 + e_j) e^{j phi(t_j)},   phi(t) = p_0 + p_1 t + p_2 t^2

w_j the weights asked for, every other one of them 1: these references tell h and the carrier's own phase phi, whose offset
and drift cost three of them. A tone that was started anew has a phase of its own, and no parabola goes through its references.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

ORDER = 2


@dataclass(frozen=True)
class WeightFit:
    """Of the J weights that are not references.

    weights                          (J,) asked for
    found                            (J,) what they amounted to
    amplitude_errors, phases_rad     (J,) |found / asked| - 1 and its angle, with the standard errors of both
    jump_rad, jump_error_rad         largest distance of a phase from the references' parabola, and what noise makes of one
    """

    weights: NDArray[np.complex128]
    found: NDArray[np.complex128]
    amplitude_errors: NDArray[np.float64]
    amplitude_standard_errors: NDArray[np.float64]
    phases_rad: NDArray[np.float64]
    phase_standard_errors: NDArray[np.float64]
    jump_rad: float
    jump_error_rad: float


def fit_weights(
    amplitudes: NDArray[np.complex128],
    times: NDArray[np.float64],
    weights: NDArray[np.complex128],
    standard_errors: NDArray[np.float64],
    phase_errors: NDArray[np.float64],
) -> WeightFit:
    """Args:
    amplitudes: (I,) readings, referred to a carrier so near that the phase moves by less than half a turn from one to the
        next; the first and the last are references, and so is every other one between.
    times: (I,) of them.
    weights: (I,) asked for, 1 for a reference.
    standard_errors: (I,) of a real dimension of each.
    phase_errors: (I,) of the phase of each, rad.
    """
    ratio = amplitudes / weights
    phases = np.unwrap(np.angle(ratio))
    is_reference = weights == 1.0
    references, others = np.flatnonzero(is_reference), np.flatnonzero(~is_reference)
    middle, half = 0.5 * (times[0] + times[-1]), 0.5 * (times[-1] - times[0])
    basis = np.polynomial.legendre.legvander((times - middle) / half, ORDER)
    at = basis[references]
    inverse = np.linalg.inv(at.T @ at)
    fitted = basis @ (inverse @ (at.T @ phases[references]))
    rest = phases - fitted
    freedom = references.size - at.shape[1]
    noise = float(np.sqrt(np.mean(phase_errors[references] ** 2)))
    left = math.sqrt(float(rest[references] @ rest[references]) / freedom)
    wider = float(stats.t.ppf(0.975, freedom) / special.ndtri(0.975))
    # What the references leave says what noise there is from one reading to the next, if it is more than is known of.
    spread = noise if left < 2.0 * noise else left * wider
    leverage = np.einsum("ij,jk,ik->i", basis, inverse, basis)[others]
    phase_standard_errors = np.sqrt(phase_errors[others] ** 2 + spread**2 * leverage)
    magnitudes = np.abs(amplitudes)
    around = 0.5 * (magnitudes[others - 1] + magnitudes[others + 1])
    levels = magnitudes[others] / np.abs(weights[others]) / around
    relative = standard_errors / magnitudes
    level_errors = np.sqrt(
        relative[others] ** 2
        + 0.25 * (relative[others - 1] ** 2 + relative[others + 1] ** 2)
        + _fading(magnitudes[references], relative[references])
    )
    return WeightFit(
        weights=weights[others],
        found=weights[others] * levels * np.exp(1j * rest[others]),
        amplitude_errors=levels - 1.0,
        amplitude_standard_errors=level_errors,
        phases_rad=rest[others],
        phase_standard_errors=phase_standard_errors,
        jump_rad=float(np.abs(rest).max()),
        jump_error_rad=noise,
    )


def _fading(levels: NDArray[np.float64], relative_errors: NDArray[np.float64]) -> float:
    """Relative variance of what lies between two references, by how far each is from the middle of its neighbours, beyond
    what noise makes of that. A smooth change at twice the distance is four times as large; one without memory, twice."""
    off = (levels[1:-1] - 0.5 * (levels[:-2] + levels[2:])) / levels[1:-1]
    noise = relative_errors[1:-1] ** 2 + 0.25 * (relative_errors[:-2] ** 2 + relative_errors[2:] ** 2)
    return 0.5 * max(0.0, float(np.mean(off**2 - noise)))


def settling(
    samples: NDArray[np.complex128], cycles: float, *, block: int, noise_variance: float, tolerance: float
) -> int:
    """From which sample of (N,) on a tone has the amplitude that it has in the second half: a multiple of `block`.

    Args:
        cycles: of the tone, cycles a sample.
        tolerance: of the amplitude, relative; five standard errors of a block's mean are allowed on top.
    """
    count = samples.size // block
    turned = samples[: count * block] * np.exp(-2j * np.pi * np.remainder(cycles * np.arange(count * block), 1.0))
    means = np.abs(turned.reshape(count, block).mean(axis=1))
    final = float(means[count // 2 :].mean())
    allowed = tolerance * final + 5.0 * math.sqrt(noise_variance / (2.0 * block))
    off = np.flatnonzero(np.abs(means - final) > allowed)
    return 0 if not off.size else block * int(off[-1] + 1)
