"""Scaling a running transmission without a restart, by the IQ correction behind the DAC's DMA.

For b = a + jc the correction matrix is [[a, -c], [c, a]]: calibscale of both rails a, calibphase of I -c and of Q +c. The
coefficients are of 1.14 bits, |coefficient| < 2, and take effect at once, one after another (hdl, axi_ad9361_tx_channel.v
behind `ad_iqcor`; driver cf_axi_dds.c, CALIBSCALE and CALIBPHASE). Whether a unit's FPGA has the stage is for its self-test
to prove: `measure_weights`, in digital loopback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

STEP = 2.0**-14
TRIALS: tuple[complex, ...] = (1.0, 0.5, -0.5, 0.25j, 0.3 - 0.4j)
PROOF = 2e-3  # largest error of a weight that still counts as proved: converters' rounding at half scale, coefficients' steps


class Settable(Protocol):
    def set(self, name: str, value: str) -> None: ...


class WeightStage:
    """The four coefficients of one unit; only those that change are written."""

    def __init__(self, unit: Settable) -> None:
        self._unit = unit
        self._written: dict[str, str] = {}

    def set(self, value: complex) -> None:
        """Rounded to steps of 2^-14. Written in an order that never exceeds the larger of the two magnitudes by much:
        what shrinks first."""
        a, c = (round(part / STEP) * STEP for part in (value.real, value.imag))
        wanted = {"scale_i": a, "scale_q": a, "phase_i": -c, "phase_q": c}
        for name, number in sorted(wanted.items(), key=lambda item: abs(item[1])):
            text = f"{number + 0.0:.6f}"
            if self._written.get(name) != text:
                self._written.pop(name, None)
                self._unit.set(name, text)
                self._written[name] = text

    def forget(self) -> None:
        """What is written is not known any more, for example because the unit has been opened anew."""
        self._written.clear()


def probe_wave(n: int = 1024) -> NDArray[np.complex128]:
    """(n,) a Zadoff-Chu sequence at half scale, n even: its circular autocorrelation is zero but at lag 0."""
    return np.asarray(0.5 * np.exp(-1j * np.pi * (np.arange(n, dtype=np.int64) ** 2 % (2 * n)) / n))


def measure_weights(
    weigh: Callable[[complex], None],
    receive: Callable[[int], NDArray[np.complex128]],
    wave: NDArray[np.complex128],
    trials: Sequence[complex] = TRIALS,
) -> list[tuple[complex, complex]]:
    """(wanted, found) weights of `wave` (n,), a `probe_wave` that is being sent cyclically in digital loopback.

    Where in the wave a capture begins is not known and does not matter: a circular correlation finds it, and its value
    there is the weight.
    """
    found = []
    reference = np.fft.fft(wave).conj()
    energy = float(np.vdot(wave, wave).real)
    for wanted in trials:
        weigh(wanted)
        correlation = np.fft.ifft(np.fft.fft(receive(wave.size)) * reference) / energy
        found.append((wanted, complex(correlation[int(np.argmax(np.abs(correlation)))])))
    return found
