"""Where in a capture a transmission begins.

    y_i = n_i before sample s,   a w_i e^{j omega i} + n_i from it on

w a steady tone of unit magnitude. In two stages: whole blocks by their power at the tone's frequency, for which no phase is
needed; then single samples about that place, with the complex amplitude of what follows, where the maximum of the likelihood
is that of

    L(s) = sum_{i >= s} (2 Re(y_i conj(m_i)) - |m_i|^2),   m_i = a w_i e^{j omega i}

Its error has the standard deviation sqrt(13 / 2) |n|^2 / |a|^2 samples where that is large (Yao 1987, Approximating the
distribution of the maximum likelihood estimate of the change-point, for steps of Brownian motion), and that of a sample's
place in its interval where it is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.offset import acquire_offset
from radio.tone import phasor

BLOCK = 128
TAIL = 4096  # samples at the end of the capture from which the tone is learnt
FIT = 2048  # and after the coarse place, from which its amplitude is
GRID_ERROR = 1.0 / math.sqrt(
    3.0
)  # uniform within a sample either way: whether a start is rounded up or down is not known
_YAO = math.sqrt(26.0) / 2.0


@dataclass(frozen=True)
class Onset:
    """sample          index of the first sample of the transmission; 0: it was on the air before
    standard_error  samples
    settled_dbfs    level of what follows"""

    sample: int
    standard_error: float
    settled_dbfs: float


def find_onset(
    samples: NDArray[np.complex128], cycles: float, *, rate_sps: float, noise_variance: float, offset_max_hz: float
) -> Onset | None:
    """None where the tone is not on at the end of the capture (N,), N at least 2 `TAIL`.

    Args:
        cycles: of the tone, cycles a sample, as sent.
        noise_variance: per complex sample while nobody sends; what is constant has been taken off the samples.
        offset_max_hz: half the width in which the carrier is searched for.
    """
    n = samples.size
    end = samples[n - TAIL :]
    found = acquire_offset(
        end, phasor(cycles, TAIL), rate_sps=rate_sps, noise_variance=noise_variance, range_hz=offset_max_hz
    )
    if not found.trusted:
        return None
    turned = samples * phasor(-(cycles + found.offset_hz / rate_sps), n)
    count = n // BLOCK
    first = n - count * BLOCK
    power = np.abs(turned[first:].reshape(count, BLOCK).mean(axis=1)) ** 2
    settled = abs(complex(turned[n - TAIL :].mean())) ** 2
    # A block that is half full counts as off: its power is a quarter.
    gains = np.concatenate([np.cumsum((power - 0.5 * settled)[::-1])[::-1], [0.0]])
    coarse = first + BLOCK * int(np.argmax(gains))
    begin = max(0, coarse - 2 * BLOCK)
    span = turned[begin : min(n, coarse + FIT)]
    amplitude = complex(turned[min(coarse + BLOCK, n - TAIL) : min(n, coarse + BLOCK + FIT)].mean())
    score = 2.0 * (span * np.conj(amplitude)).real - abs(amplitude) ** 2
    likelihood = np.concatenate([np.cumsum(score[::-1])[::-1], [0.0]])
    spread = _YAO * noise_variance / max(abs(amplitude) ** 2, 1e-30)
    return Onset(
        sample=begin + int(np.argmax(likelihood)),
        standard_error=math.hypot(GRID_ERROR, spread),
        settled_dbfs=10.0 * math.log10(max(settled, 1e-30)),
    )
