"""The upper seam of the radio: one over-the-air aggregation, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChannelState:
    """What sounding found out. Everything is an estimate; K is the number of devices.

    Attributes:
        gains: (K,) complex gain, received amplitude (ADC full scale = 1) per transmitted amplitude (DAC full
            scale = 1), as predicted for the moment the air slot begins.
        gain_variance: (K,) variance of each complex gain estimate, E|h_hat - h|^2.
        offset_hz: (K,) residual carrier offset estimates.
        noise_variance: receiver noise per complex sample, E|n|^2, ADC full scale squared.
        quality: (K,) False: this device's estimate is not to be trusted.
    """

    gains: NDArray[np.complex128]
    gain_variance: NDArray[np.float64]
    offset_hz: NDArray[np.float64]
    noise_variance: float
    quality: NDArray[np.bool_]


@dataclass(frozen=True)
class AirPlan:
    """What everybody is told before the air slot.

    Attributes:
        precoders: (K,) complex amplitude a device applies per unit of payload; 0 for devices left out.
        active: (K,) who transmits.
        alignment: eta, common received amplitude per unit of payload after inversion.
        payload_peak: |x| at which the strongest-driven device reaches DAC full scale.
    """

    precoders: NDArray[np.complex128]
    active: NDArray[np.bool_]
    alignment: float
    payload_peak: float


@dataclass(frozen=True)
class Received:
    """What the receiver knows after the air slot. P is the number of perturbations.

    Attributes:
        total: (P,) estimate of sum_k x_k over the active set, payload units; NaN when erased.
        variance: (P,) its predicted variance from receiver noise alone, payload units squared.
        snr_db: (P,) SNR per received scalar after integration: one full-scale payload (`payload_peak`) against the
            noise of one real dimension, as the receiver measured it. It describes the air, not the payloads sent.
        erased: True: cannot be trusted (saturation, interference, no active device); no number may be used.
        reason: "" or why it was erased.
        clipped: (K,) samples limited at each transmitter's full scale, counted at the transmitter.
        transmit_power_dbfs: (K,) mean power sent, dB relative to a full-scale DAC tone (-inf when silent).
    """

    total: NDArray[np.float64]
    variance: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    erased: bool
    reason: str
    clipped: NDArray[np.int64]
    transmit_power_dbfs: NDArray[np.float64]


class Air(Protocol):
    """`sound(t)`, then any number of `aggregate(t, ...)`, then the next round.

    In simulation every random draw of round t is a pure function of (experiment seed, t, purpose).
    """

    devices: int

    def sound(self, round_index: int) -> ChannelState: ...

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """`payloads` is (K, P) real; rows of inactive devices are not sent."""
        ...

    def close(self) -> None: ...
