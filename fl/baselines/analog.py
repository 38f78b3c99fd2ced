"""Analog over-the-air averaging of whole vectors: one channel use an entry, with the exact statistics of truncated inversion.

Simulating d waveforms a round is out of reach, and knowing their statistics suffices.  With gains h_k known perfectly, the
active devices send b_k v_k with b_k = eta / h_k, so that every entry arrives as eta sum_k v_k plus noise.  A full-scale
amplitude is 1 and SNR = E|h|^2 / N0 per received real number, as for our scalars (`radio.loopback_air.noise_variance_of`),
so the average over the A active devices is received with the error variance, per entry,

    N0 / (eta A)^2,   N0 = E|h|^2 / SNR,   eta = min_k |h_k| / max_k rms(v_k).

This favours the vector methods: pilots cost nothing and err nothing, amplitude is bounded in the mean over a vector's entries
and not for each, converters are ideal, and nothing keeps a device's vector private.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.config import Radio
from radio.air import ChannelState
from radio.fading import Fading
from radio.inversion import plan_inversion
from radio.streams import stream


class AnalogUplink:
    """The uplink of K devices that send vectors; `radio.mode = "ideal"` averages without error and without fading."""

    def __init__(self, radio: Radio, devices: int, seed: int) -> None:
        self._radio, self._devices, self._seed = radio, devices, seed
        self._ideal = radio.mode == "ideal"
        self._fading = Fading(
            devices, seed, radio.fading, radio.rician_k_db, radio.path_loss_db, radio.coherence_rounds
        )

    def active(self, t: int) -> NDArray[np.int64]:
        """Indices of the devices that are not in a deep fade in round t; at least one."""
        if self._ideal:
            return np.arange(self._devices)
        gains = self._fading.gains(t)
        zeros = np.zeros(self._devices)
        state = ChannelState(gains, zeros, zeros, 0.0, np.ones(self._devices, bool))
        plan = plan_inversion(state, 1.0, truncation=self._radio.least_share)
        return np.flatnonzero(plan.active)

    def error_variance(self, t: int, vectors: NDArray[np.floating]) -> float:
        """Variance of the average's error, per entry; vectors (A, d) of the active devices."""
        if self._ideal:
            return 0.0
        active = self.active(t)
        rms = float(np.sqrt((vectors.astype(np.float64) ** 2).mean(axis=1)).max())
        alignment = float(
            np.abs(self._fading.gains(t)[active]).min()
        )  # eta times rms, finite also for vectors of zeros
        noise = float(self._fading.mean_power.mean()) / 10.0 ** (self._radio.snr_db / 10.0)
        return noise * (rms / (alignment * len(active))) ** 2

    def mean(self, t: int, vectors: NDArray[np.floating]) -> NDArray[np.floating]:
        """The received average (d,) of the active devices' vectors (A, d), in their order."""
        average = vectors.mean(axis=0)
        if self._ideal:
            return average
        noise = stream(self._seed, "baselines", "analog noise", t).standard_normal(average.size)
        return average + np.sqrt(self.error_variance(t, vectors)) * noise
