"""Imbalance, leaks and offsets of mixers, from the lines of captures in which one device each sends a tone.

With the mixers y = m x + n conj(x) + leak (`radio.frontend.Mixer`) of a device (t) and of the receiver (r), channel h and
tone x the lines of `calibration.probe` have the amplitudes, up to products of two imbalances,

    tone  m_r h m_t x     device's image  m_r h n_t conj(x)     receiver's image  n_r conj(h m_t x)     leak  m_r h l_t

so |n_t / m_t| and |l_t / m_t| are ratios of magnitudes, and the receiver's n_r / conj(m_r) is the ratio of its image to the
conjugate tone: a complex number that all devices' captures share, and are averaged for. Where both images fall together
(one reference), only their sum is seen, |n_r / conj(m_r) + e^{j theta} n_t / m_t| with the channel's and the start's phase.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.probe import Reading


@dataclass(frozen=True)
class Ratio:
    """A line over the tone it belongs to: magnitude, and the standard error of each real dimension."""

    magnitude: float
    standard_error: float

    def times(self, factor: float) -> Ratio:
        return Ratio(self.magnitude * factor, self.standard_error * factor)


def over_tone(line: complex, error: float, reading: Reading) -> Ratio:
    """|line / tone|. The tone's own error, far smaller, counts as well."""
    tone = abs(reading.amplitude)
    ratio = abs(line) / tone
    return Ratio(ratio, math.hypot(error, ratio * reading.standard_error) / tone)


def transmit_image(reading: Reading) -> Ratio:
    return over_tone(reading.transmit_image, reading.errors[3], reading)


def leakage(reading: Reading, amplitude: float) -> Ratio:
    """Relative to a full-scale tone, where the tone was sent with this digital amplitude."""
    return over_tone(reading.leak, reading.errors[1], reading).times(amplitude)


def receive_image(readings: Sequence[Reading]) -> Ratio:
    """Of the readings together, each weighted by its information: sum I_k T_k / sum |T_k|^2 with weights 1 / error^2."""
    weights = np.array([1.0 / one.errors[2] ** 2 for one in readings])
    tones = np.array([one.amplitude for one in readings])
    images = np.array([one.receive_image for one in readings])
    information = float(np.sum(weights * np.abs(tones) ** 2))
    ratio = abs(complex(np.sum(weights * images * tones))) / information
    return Ratio(ratio, 1.0 / math.sqrt(information))
