"""Carriers that are not the receiver's: offset, drift and phase noise of each device, continuous through a round."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from radio.impairments import Impairments
from radio.streams import stream
from radio.tone import phasor


class Oscillators:
    """K carriers against the receiver's; see `Impairments` for the settings.

    A device's carrier phase at clock c of a round is

        2 pi (f_k c / rate + d_k (c / rate)^2 / 2) + phi_k(t) + theta_k(c)

    with drift d_k in Hz/s, phi_k(t) random for each round without a shared clock (two free-running carriers have no
    phase to remember), and theta_k phase noise. `offsets_hz` (f_k) may be set from outside.

    Args:
        settings: of the medium.
        devices: K.
        seed: of every draw.
        lo_hz: carrier frequency, which ppm are of.
    """

    def __init__(self, settings: Impairments, devices: int, seed: int, lo_hz: float) -> None:
        self.settings = settings
        self.devices = devices
        self.seed = seed
        self.ppm = np.zeros(devices)
        if settings.oscillator_ppm > 0.0 and not settings.shared_clock:
            draws = stream(seed, "medium", "oscillator").uniform(-1.0, 1.0, devices + 1) * settings.oscillator_ppm
            self.ppm = draws[:devices] - draws[devices]
        self._lo_hz = lo_hz
        self.offsets_hz = np.zeros(devices)
        self._drift = self._phases = np.zeros(devices)
        self._noisy = settings.phase_noise_deg > 0.0 or settings.linewidth_hz > 0.0
        self._theta: list[_PhaseNoise] = []

    @property
    def drifts_hz_per_s(self) -> NDArray[np.float64]:
        """(K,) of the round."""
        return self._drift

    def begin(self, round_index: int, residual_hz: NDArray[np.float64]) -> None:
        """A new round, at clock 0. `residual_hz` (K,) is added to what the oscillators are off."""
        self.offsets_hz = residual_hz + self.ppm * 1e-6 * self._lo_hz
        if not self.settings.common_clock:
            draws = stream(self.seed, "medium", "carrier", round_index)
            self._phases = draws.random(self.devices)
            self._drift = self.settings.drift_ppm_per_s * 1e-6 * self._lo_hz * draws.standard_normal(self.devices)
        if self._noisy:
            self._theta = [
                _PhaseNoise(self.settings, stream(self.seed, "medium", "phase noise", round_index, k))
                for k in range(self.devices)
            ]

    def forget(self) -> None:
        """What was heard so far will not be heard again: its phase noise need not be kept."""
        for theta in self._theta:
            theta.forget()

    def turn(
        self, device: int, wave: NDArray[np.complex128], clock: int, rate_sps: float, quiet: bool = False
    ) -> NDArray[np.complex128]:
        """`wave` (n,), heard from `clock` on, on the device's carrier. Not in place; `wave` itself where nothing is off.

        `quiet`: nothing but a carrier's leakage, whose phase noise is not worth drawing.
        """
        offset = float(self.offsets_hz[device])
        if offset != 0.0:
            wave = wave * phasor(offset / rate_sps, wave.size, clock)
        if self._phases[device] != 0.0 or self._drift[device] != 0.0:
            turns = np.full(wave.size, float(self._phases[device]))
            if self._drift[device] != 0.0:
                turns += 0.5 * self._drift[device] * ((clock + np.arange(wave.size)) / rate_sps) ** 2
            wave = wave * np.exp(2j * np.pi * turns)
        if self._noisy and not quiet:
            wave = wave * np.exp(1j * self._theta[device].phase(clock, wave.size, rate_sps))
        return wave


class _PhaseNoise:
    """One device's phase noise: a stationary Ornstein-Uhlenbeck process (loop) plus a Wiener process (no loop).

    Phases are kept, so that a slot which is repeated at the same instant finds the same ones; a stretch nobody listened
    to is stepped over exactly.
    """

    def __init__(self, settings: Impairments, draws: np.random.Generator) -> None:
        self._sigma = math.radians(settings.phase_noise_deg)
        self._corner = settings.phase_noise_hz
        self._linewidth = settings.linewidth_hz
        self._draws = draws
        self._locked = self._sigma * float(draws.standard_normal())
        self._free = 0.0
        self._end = 0
        self._kept: list[tuple[int, NDArray[np.float64]]] = []

    def phase(self, clock: int, n: int, rate_sps: float) -> NDArray[np.float64]:
        """(n,) radians from `clock` on."""
        if clock < self._end:
            return self._recall(clock, n, rate_sps)
        self._step(clock - self._end, rate_sps)
        made = self._extend(n, rate_sps)
        self._kept.append((clock, made))
        return made

    def forget(self) -> None:
        self._kept.clear()

    def _step(self, n: int, rate_sps: float) -> None:
        if n > 0:
            decay = math.exp(-2.0 * math.pi * self._corner * n / rate_sps)
            one, two = self._draws.standard_normal(2)
            self._locked = decay * self._locked + self._sigma * math.sqrt(1.0 - decay**2) * one
            self._free += math.sqrt(2.0 * math.pi * self._linewidth * n / rate_sps) * two
            self._end += n

    def _extend(self, n: int, rate_sps: float) -> NDArray[np.float64]:
        phase = np.zeros(n)
        if self._sigma > 0.0:
            from scipy.signal import lfilter  # half of the time that `pairzero emulate` would take to start

            decay = math.exp(-2.0 * math.pi * self._corner / rate_sps)
            steps = self._sigma * math.sqrt(1.0 - decay**2) * self._draws.standard_normal(n)
            locked, _ = lfilter([1.0], [1.0, -decay], steps, zi=[decay * self._locked])
            self._locked = float(locked[-1])
            phase += locked
        if self._linewidth > 0.0:
            steps = math.sqrt(2.0 * math.pi * self._linewidth / rate_sps) * self._draws.standard_normal(n)
            free = self._free + np.cumsum(steps)
            self._free = float(free[-1])
            phase += free
        self._end += n
        return phase

    def _recall(self, clock: int, n: int, rate_sps: float) -> NDArray[np.float64]:
        """A stretch that began in the past: what is kept of it (last value held over gaps), then new."""
        phase = np.zeros(n)
        for begin, made in self._kept:
            if begin >= clock + n:
                break
            at = max(begin, clock) - clock
            part = made[clock + at - begin : clock + n - begin]
            phase[at : at + part.size] = part
            phase[at + part.size :] = made[-1]
        if clock + n > self._end:
            begin = self._end
            made = self._extend(clock + n - begin, rate_sps)
            self._kept.append((begin, made))
            phase[begin - clock :] = made
        return phase
