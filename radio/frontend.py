"""What mixers, attenuators, amplifiers and the automatic gain do to a signal; see `Impairments` for the settings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radio.impairments import Impairments
from radio.streams import stream


class Mixer:
    """Imbalance of the two rails of one transceiver, and a constant that leaks into them.

        y = mu x + nu conj(x) + leak,   mu = (1 + a e^{j phi}) / 2,   nu = (1 - a e^{j phi}) / 2

    with a the second rail's gain over the first's and phi the error of the right angle between them: a tone at f leaves
    an image at -f, |nu / mu|^2 below it.
    """

    def __init__(self, gain_db: float, phase_deg: float, leak: complex) -> None:
        skew = 10.0 ** (gain_db / 20.0) * complex(np.exp(1j * math.radians(phase_deg)))
        self.mu, self.nu, self.leak = (1.0 + skew) / 2.0, (1.0 - skew) / 2.0, leak

    @property
    def ideal(self) -> bool:
        return self.nu == 0.0 and self.leak == 0.0

    @property
    def image_db(self) -> float:
        """The image's power over the signal's."""
        return -math.inf if self.nu == 0.0 else 20.0 * math.log10(abs(self.nu / self.mu))

    def mix(self, samples: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """(n,) to (n,); the samples themselves where nothing is wrong."""
        if self.ideal:
            return samples
        mixed = self.mu * samples
        if self.nu != 0.0:
            mixed += self.nu * samples.conj()
        if self.leak != 0.0:
            mixed += self.leak
        return mixed


def mixers(settings: Impairments, devices: int, seed: int) -> tuple[list[Mixer], Mixer]:
    """The K transmitters' mixers and the receiver's. Drawn once for the experiment; a leak's phase is random."""
    draws = stream(seed, "medium", "mixers")
    gains = settings.iq_gain_db * draws.standard_normal(devices + 1)
    phases = settings.iq_phase_deg * draws.standard_normal(devices + 1)
    turns = np.exp(2j * np.pi * draws.random(devices + 1))

    def one(k: int, leak_dbfs: float | None) -> Mixer:
        leak = 0j if leak_dbfs is None else 10.0 ** (leak_dbfs / 20.0) * complex(turns[k])
        return Mixer(float(gains[k]), float(phases[k]), leak)

    return [one(k, settings.lo_leakage_dbfs) for k in range(devices)], one(devices, settings.dc_offset_dbfs)


class StepGain:
    """Transmit gain of one device: rounded to steps, each with an error of its own."""

    def __init__(self, settings: Impairments, device: int, seed: int) -> None:
        self._step = settings.gain_step_db
        self._error = settings.gain_error_db
        self._seed, self._device = seed, device
        self._known: dict[int, float] = {}

    def amplitude(self, gain_db: float) -> float:
        """What a gain asked for amounts to."""
        if self._step > 0.0:
            steps = round(gain_db / self._step)
            gain_db = steps * self._step
        else:
            steps = round(gain_db * 1e6)
        if self._error > 0.0:
            if steps not in self._known:
                draws = stream(self._seed, "medium", "gain step", self._device, steps)
                self._known[steps] = self._error * float(draws.standard_normal())
            gain_db += self._known[steps]
        return 10.0 ** (gain_db / 20.0)


RAPP_SMOOTHNESS = 2.0


class Amplifier:
    """A transmitter's last amplifier, which compresses amplitudes and leaves phases alone (Rapp 1991, solid state):

        y = u / (1 + |u / v|^(2 p))^(1 / (2 p)),   p = 2

    linear for small u, never above v. The gain is 1 dB down where 1 + |u / v|^(2 p) = 10^(p / 10), so an output 1 dB
    compression point c fixes v = c 10^(1/20) / (10^(p/10) - 1)^(1/(2 p)). It acts on samples of the baseband: what it
    spreads beyond the band folds back into it (a steady tone spreads nothing).

    Args:
        compression_dbfs: c, relative to a full-scale tone at transmit gain 0 dB.
    """

    def __init__(self, compression_dbfs: float) -> None:
        power = 2.0 * RAPP_SMOOTHNESS
        backoff = (10.0 ** (RAPP_SMOOTHNESS / 10.0) - 1.0) ** (1.0 / power)
        self.saturation = 10.0 ** ((compression_dbfs + 1.0) / 20.0) / backoff

    def amplify(self, samples: NDArray[np.complex128], drive: float) -> NDArray[np.complex128]:
        """(n,) what becomes of `samples` (n,) behind an attenuator of amplitude `drive`, referred to before it."""
        if drive <= 0.0:
            return samples
        level = (samples.real**2 + samples.imag**2) * (drive / self.saturation) ** 2
        return np.asarray(samples / (1.0 + level**RAPP_SMOOTHNESS) ** (0.5 / RAPP_SMOOTHNESS))


def amplifier(settings: Impairments) -> Amplifier | None:
    """Of every transmitter; None where it is linear."""
    return None if settings.compression_dbfs is None else Amplifier(settings.compression_dbfs)


_AGC_RANGE_DB = 40.0


class GainControl:
    """A first-order loop in dB, one step for each `agc_time_s` or the part of it that a capture leaves. Its gain is kept
    from one capture to the next."""

    def __init__(self, settings: Impairments, rate_sps: float) -> None:
        self._block = max(1, round(settings.agc_time_s * rate_sps))
        self._target = 10.0 ** (settings.agc_target_dbfs / 10.0)
        self.correction_db = 0.0

    def level(self, samples: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """(n,) at the gain the loop arrives at; a step changes the samples after the block it was measured in."""
        edges = np.arange(0, samples.size, self._block)
        power = np.add.reduceat(samples.real**2 + samples.imag**2, edges)
        lengths = np.minimum(self._block, samples.size - edges)
        power /= lengths
        reached = -np.expm1(-lengths / self._block)
        gains = np.empty(edges.size)
        for i, before in enumerate(power):
            gains[i] = self.correction_db
            now = before * 10.0 ** (self.correction_db / 10.0)
            error = 10.0 * math.log10(self._target / max(now, 1e-20))
            step = float(reached[i]) * error
            self.correction_db = min(_AGC_RANGE_DB, max(-_AGC_RANGE_DB, self.correction_db + step))
        return np.asarray(samples * np.repeat(10.0 ** (gains / 20.0), self._block)[: samples.size])
