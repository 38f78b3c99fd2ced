"""A scalar as one tone beside two pilots, readable without any synchronisation.

    y = g [3/8 e^{j w0 t} + 3/8 e^{j w1 t} + 1/4 v e^{j w2 t}],   w1 - w0 = w2 - w1,   v in [-1, 1]

A late start by tau turns tone i by w_i tau, a carrier phase turns all alike. As the tones are equally spaced, both cancel
in phi_2 - (2 phi_1 - phi_0), sign of v included; a carrier offset moves the whole comb and is found by search; an
unknown gain cancels in the ratio. All tones lie above DC, so images and DC do not fall on them. Pilots are louder than
any payload, or the comb could be mistaken for itself one place further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.tone import SMALLEST_WINDOW, phasor

PILOT = 3.0 / 8.0
PAYLOAD = 1.0 / 4.0


@dataclass(frozen=True)
class Comb:
    """What one window says: (3,) complex amplitudes of the tones, the carrier offset, and mean power beside tones and DC."""

    tones: NDArray[np.complex128]
    offset_hz: float
    residual_power: float


def estimate_values(
    tones: NDArray[np.complex128], projection_variance: float | NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values v (...) and their variance (...) from the tones' amplitudes (..., 3).

    With v_p = E|n|^2 of one projection and a the pilots' amplitude,

        v = (3/2) Re(y_2 conj(u)) / a,   u = phase of y_1^2 conj(y_0),
        Var v = (9/8) v_p / a^2 + v^2 v_p / (4 a^2)

    to first order. To second order noise turns u (5 v_p/4a^2) and bends 1/a (3 v_p/8a^2); 1 + 7 v_p/8a^2 takes both off.
    """
    first, second, third = (tones[..., i] for i in range(3))
    power = (np.abs(first) ** 2 + np.abs(second) ** 2) / 2.0 - projection_variance
    # A tone that noise has swallowed gives a number of no worth with a variance that says so.
    power = np.maximum(power, np.maximum(0.1 * np.asarray(projection_variance), 1e-300))
    turn = second**2 * first.conj()
    turn = turn / np.maximum(np.abs(turn), 1e-300)
    ratio = PILOT / PAYLOAD * (third * turn.conj()).real / np.sqrt(power)
    relative = projection_variance / power
    value = ratio * (1.0 + 7.0 / 8.0 * relative)
    return value, (9.0 / 8.0 + value**2 / 4.0) * relative


@dataclass(frozen=True)
class ThreeTone:
    """The waveform of a window of `window` samples and its receiver."""

    window: int

    def __post_init__(self) -> None:
        if self.window < SMALLEST_WINDOW:
            raise InputError(f"window is {self.window} samples; at least {SMALLEST_WINDOW} are needed")

    @property
    def bins(self) -> tuple[int, int, int]:
        """Even spacing, so that the tones are orthogonal over each half of the window as well."""
        step = max(4, 2 * round(self.window / 128))
        first = round(self.window / 8)
        return first, first + step, first + 2 * step

    def wave(self, value: float, amplitude: float = 1.0) -> NDArray[np.complex128]:
        """(window,) one period; |wave| <= amplitude for |value| <= 1."""
        base = [phasor(b / self.window, self.window) for b in self.bins]
        return np.asarray(amplitude * (PILOT * (base[0] + base[1]) + PAYLOAD * value * base[2]))

    def span(self, rate_sps: float, offset_max_hz: float) -> NDArray[np.int64]:
        """Bins on which a carrier would be read as a tone: within the largest offset of one, and a bin beside it."""
        reach = math.ceil(offset_max_hz * self.window / rate_sps) + 1 if offset_max_hz > 0.0 else 0
        near = np.arange(-reach, reach + 1)
        return np.unique(np.add.outer(np.array(self.bins), near) % self.window)

    def searched(self, rate_sps: float, offset_max_hz: float) -> int:
        """How many offsets `read` tries."""
        return 2 * self._reach(rate_sps, offset_max_hz) + 1

    def components(self, comb: Comb, rate_sps: float) -> NDArray[np.complex128]:
        """(3, window) the comb's tones of amplitude 1, as received."""
        offset = comb.offset_hz / rate_sps
        return np.stack([phasor(b / self.window + offset, self.window) for b in self.bins])

    def read(self, samples: NDArray[np.complex128], rate_sps: float, offset_max_hz: float = 0.0) -> Comb:
        """The comb in one window (window,) of the periodic waveform.

        The offset maximises the pilots' power on half bins within +-`offset_max_hz`; the turn between the halves of the
        window refines it. With 0 it is not estimated.
        """
        turned, offset = samples, 0.0
        if offset_max_hz > 0.0:
            offset = self._search(samples, rate_sps, offset_max_hz) / self.window
            turned = samples * phasor(-offset, self.window)
            half = self.window // 2
            for _ in range(2):
                early, late = (
                    self._project(turned[:half], 0, half),
                    self._project(turned[-half:], self.window - half, half),
                )
                apart = self.window - half
                step = float(np.angle(np.sum(late[:2] * early[:2].conj()))) / (2.0 * math.pi * apart)
                offset += step
                turned = samples * phasor(-offset, self.window)
        tones = self._project(turned, 0, self.window)
        power = float(np.mean(samples.real**2 + samples.imag**2))
        explained = float(np.sum(np.abs(tones) ** 2)) + abs(complex(samples.mean())) ** 2
        return Comb(tones, offset * rate_sps, max(0.0, power - explained))

    def _project(self, samples: NDArray[np.complex128], start: int, length: int) -> NDArray[np.complex128]:
        return np.array(
            [np.vdot(phasor(b / self.window, length, start), samples) / length for b in self.bins], dtype=np.complex128
        )

    def _reach(self, rate_sps: float, offset_max_hz: float) -> int:
        return min(self.window - 1, math.ceil(2.0 * offset_max_hz * self.window / rate_sps))

    def _search(self, samples: NDArray[np.complex128], rate_sps: float, offset_max_hz: float) -> float:
        """Offset in bins, on a grid of half bins."""
        spectrum = np.fft.fft(samples, 2 * self.window)
        power = spectrum.real**2 + spectrum.imag**2
        reach = self._reach(rate_sps, offset_max_hz)
        shifts = np.arange(-reach, reach + 1)
        score = sum(power[(2 * b + shifts) % power.size] for b in self.bins[:2])
        return float(shifts[int(np.argmax(score))]) / 2.0
