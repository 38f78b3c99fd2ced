"""One device's pilots: its gain and carrier offset, from all samples of all of them.

A sweep is one pilot of each device. Two sweeps a round give the carrier offset a long baseline, which is worth far more
than a longer pilot: the estimate is the maximum of the likelihood over all samples of all of a device's pilots. This is the
second stage where the offset may be anything (`offset.acquire_offset` is the first), and the only one where it is known to
be small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.tone import SMALLEST_WINDOW, phasor

SATURATED_RAIL = 0.999  # of ADC full scale
_SMALLEST_VARIANCE = 1e-30  # keeps the likelihood finite on a noiseless, unquantised medium


def saturated_fraction(samples: NDArray[np.complex128]) -> float:
    """Fraction of samples with a rail at ADC full scale."""
    rails = np.abs(samples.view(np.float64))
    if rails.max() < SATURATED_RAIL:  # the usual case, quickly
        return 0.0
    return float((rails.reshape(-1, 2) >= SATURATED_RAIL).any(axis=1).mean())


@dataclass(frozen=True)
class PilotSettings:
    """How the channel is sounded.

    Attributes:
        window: samples of a pilot that are used.
        repeats: sweeps a round.
        guard_samples: sent and thrown away before the window, at least the largest start offset.
        offset_prior_hz: standard deviation of the residual carrier offset as known beforehand; 0 for radios on a common
            reference, whose offset is then not estimated at all. A noisy estimate of nothing would only do harm.
        min_snr_db: a gain estimate below this ratio |h|^2 / variance is not trusted.
        max_saturated: fraction of ADC samples at full scale beyond which a pilot is not trusted.
        floor_variance: least noise per complex sample (the ADC's quantisation), which an idle channel does not show.
        offset_range_hz: half the width in which a free-running carrier is searched for; 0: no search, the offset lies
            within a few `offset_prior_hz`.
        max_phase_change_deg: what a phase may move, beyond the model and beyond noise, from one part of a device's
            pilots to another.
    """

    window: int = 4096
    repeats: int = 1
    guard_samples: int = 0
    offset_prior_hz: float = 0.0
    min_snr_db: float = 6.0
    max_saturated: float = 1e-3
    floor_variance: float = 0.0
    offset_range_hz: float = 0.0
    max_phase_change_deg: float = 10.0

    def __post_init__(self) -> None:
        if self.window < SMALLEST_WINDOW:
            raise InputError(f"pilot_window is {self.window} samples; at least {SMALLEST_WINDOW} are needed")
        if self.repeats < 1 or self.guard_samples < 0:
            raise InputError(
                f"pilot repeats is {self.repeats}, guard_samples is {self.guard_samples}; "
                "at least 1 repeat and 0 guard samples are needed"
            )
        for name in ("offset_prior_hz", "offset_range_hz", "max_phase_change_deg"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} is {value}; allowed: a finite number of at least 0")


@dataclass(frozen=True)
class GainEstimate:
    """One device's channel, referred to the instant `reference` of the receiver's clock.

    `variance` = noise / N + |h|^2 `phase_variance`: noise in the gain, and the phase Var(omega) (reference - mean time)^2
    that the error of the offset adds on the way from the pilots to the reference. `residual_power` is what the model does
    not explain. `margin` is the log of how much likelier the offset is than the best one a lobe away.
    """

    gain: complex
    variance: float
    offset_hz: float
    offset_variance: float
    residual_power: float
    margin: float = math.inf
    phase_variance: float = 0.0


@dataclass(frozen=True)
class _Grid:
    times: NDArray[np.float64]  # (B,) block centres about the pilots' mean time, samples
    lengths: NDArray[np.float64]  # (B,)
    edges: NDArray[np.intp]  # first sample of each block within one pilot
    spread: float  # sum over all samples of (t - mean)^2
    mean: float  # mean time after the first pilot's first sample
    omegas: NDArray[np.float64]  # (F,) rad/sample
    steering: NDArray[np.complex128]  # (F, B)


@lru_cache(maxsize=32)
def _grid(starts: tuple[int, ...], window: int, prior: float) -> _Grid:
    """Everything of the offset search that does not depend on the samples. `prior` in cycles per sample."""
    # A block is short enough to be coherent at four standard deviations (a quarter turn at most).
    block = window if prior == 0.0 else max(1, min(window // 8, int(1.0 / (16.0 * prior))))
    edges = np.arange(0, window, block)
    one = np.minimum(block, window - edges).astype(np.float64)
    lengths = np.tile(one, len(starts))
    raw = np.concatenate([start + edges + (one - 1.0) / 2.0 for start in starts])
    mean = float(raw @ lengths / lengths.sum())
    times = np.asarray(raw - mean, dtype=np.float64)
    spread = float(lengths @ times**2 + (lengths * (lengths**2 - 1.0)).sum() / 12.0)
    span = starts[-1] - starts[0] + window
    steps = math.ceil(4.0 * prior * 4.0 * span)
    if steps * times.size > 4_000_000:
        raise InputError(
            "the carrier offset prior is too wide for pilots so far apart "
            f"({2 * steps + 1} candidates); lower offset_hz, or sound with one repeat"
        )
    omegas = np.asarray(2.0 * np.pi * np.arange(-steps, steps + 1) / (4.0 * span), dtype=np.float64)
    return _Grid(times, lengths, edges, spread, mean, omegas, np.exp(-1j * np.outer(omegas, times)))


def estimate_gain(
    pilots: NDArray[np.complex128],
    starts: Sequence[int],
    tone: NDArray[np.complex128],
    *,
    rate_sps: float,
    noise_variance: float,
    offset_prior_hz: float = 0.0,
    offset_mean_hz: float = 0.0,
    reference: float = 0.0,
) -> GainEstimate:
    """Maximum a posteriori estimate of (gain, offset) from a device's pilots of unit amplitude.

        y_i = h e^{j omega (t_i - reference)} tone_i + n_i,   omega ~ N(0, prior^2) about its mean
        omega_hat = argmax |sum_i y_i conj(tone_i) e^{-j omega t_i}|^2 / (N E|n|^2) - omega^2 / (2 prior^2)

    on a grid finer than the likelihood's lobes, then by Newton steps. With a wide prior its variance is the Cramer-Rao
    bound of a single tone, E|n|^2 / (2 |h|^2 sum_i (t_i - mean)^2) (Rife & Boorstyn 1974, for any spacing of samples).

    Args:
        pilots: (R, N) received, guard removed.
        starts: (R,) clock of each pilot's first sample.
        tone: (N,) the unit-amplitude tone as it would have arrived without delay.
        rate_sps: sampling rate.
        noise_variance: E|n|^2 per complex sample.
        offset_prior_hz: standard deviation of the offset; 0: there is none.
        offset_mean_hz: its mean, from the first stage.
        reference: clock at which the gain is wanted.
    """
    repeats, window = pilots.shape
    total = repeats * window
    noise_variance = max(noise_variance, _SMALLEST_VARIANCE)
    prior = 2.0 * np.pi * offset_prior_hz / rate_sps  # rad/sample
    grid = _grid(tuple(int(s - starts[0]) for s in starts), window, offset_prior_hz / rate_sps)
    if offset_mean_hz != 0.0:
        pilots = np.stack(
            [
                pilot * phasor(-offset_mean_hz / rate_sps, window, start - reference)
                for pilot, start in zip(pilots, starts, strict=True)
            ]
        )
    blocks = np.add.reduceat(pilots * tone.conj(), grid.edges, axis=1).reshape(-1)
    omega = omega_variance = 0.0
    margin = math.inf
    if prior > 0.0:
        scale = 1.0 / (noise_variance * total)
        score = np.abs(grid.steering @ blocks) ** 2 * scale - grid.omegas**2 / (2.0 * prior**2)
        omega = float(grid.omegas[int(np.argmax(score))])
        step = float(grid.omegas[1] - grid.omegas[0])
        elsewhere = np.abs(grid.omegas - omega) >= 4.0 * step  # the width of a lobe
        if elsewhere.any():
            margin = float(score.max() - score[elsewhere].max())
        for _ in range(4):
            turned = blocks * np.exp(-1j * omega * grid.times)
            s0, s1, s2 = (complex(turned @ grid.times**power) for power in (0, 1, 2))
            slope = 2.0 * (s0.conjugate() * s1).imag * scale - omega / prior**2
            curvature = 2.0 * (abs(s1) ** 2 - (s0.conjugate() * s2).real) * scale - 1.0 / prior**2
            if curvature >= 0.0:
                break
            omega += min(step, max(-step, -slope / curvature))
    # A block's sum is its samples' mean phasor times a Dirichlet kernel: undo it, by least squares over the blocks.
    kernel = grid.lengths * np.sinc(omega / (2.0 * np.pi) * grid.lengths) / np.sinc(omega / (2.0 * np.pi))
    matched = blocks * np.exp(-1j * omega * grid.times)
    middle = complex(matched @ kernel) / float(kernel @ kernel)
    if prior > 0.0:
        information = 2.0 * abs(middle) ** 2 * grid.spread / noise_variance
        omega_variance = 1.0 / (information + 1.0 / prior**2)
    elapsed = reference - (starts[0] + grid.mean)
    to_hz = rate_sps / (2.0 * np.pi)
    return GainEstimate(
        gain=middle * complex(np.exp(1j * omega * elapsed)),
        variance=noise_variance / total + abs(middle) ** 2 * omega_variance * elapsed**2,
        phase_variance=omega_variance * elapsed**2,
        offset_hz=omega * to_hz + offset_mean_hz,
        offset_variance=omega_variance * to_hz**2,
        residual_power=max(0.0, float(np.vdot(pilots, pilots).real) / total - abs(middle) ** 2),
        margin=margin,
    )
