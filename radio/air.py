"""The upper seam of the radio: one over-the-air aggregation, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ChannelState:
    """What sounding found out. Everything is an estimate; K is the number of devices.

    Attributes:
        gains: (K,) complex gain, received amplitude (ADC full scale = 1) per transmitted amplitude (DAC full
            scale = 1), as predicted for the moment the air slot begins. Modes that measure powers only know no
            phase: theirs is 0.
        gain_variance: (K,) variance of each complex gain estimate, E|h_hat - h|^2; of |h_hat| where the phase is
            unknown.
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
        precoders: (K,) complex amplitude a device applies; 0 for devices left out. Per unit of payload where amplitudes
            add (coherent, tdma, ideal); at the codeword 1 where energies add (energy, vote).
        active: (K,) who transmits.
        alignment: what arrives from every active device: eta, the amplitude per unit of payload (coherent, ideal), or
            the power of the codeword 1 (energy). 1 where nothing is equalised (tdma, vote).
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
        variance: (P,) its predicted variance from what happens at the receiver alone, payload units squared: noise, and
            where energies add the devices' random cross terms; not the errors of the channel estimates, but in coherent
            mode (see `CoherentAir`).
        snr_db: (P,) SNR per received scalar after integration: one full-scale payload (`payload_peak`) against the
            noise of one real dimension, as the receiver measured it. It describes the air, not the payloads sent.
        erased: True: cannot be trusted (saturation, interference, no active device); no number may be used.
        reason: "" or why it was erased.
        clipped: (K,) samples limited at each transmitter's full scale, counted at the transmitter; -1 where only the
            transmitter knows (`Receiver.receive`).
        transmit_power_dbfs: (K,) mean power sent, dB relative to a full-scale DAC tone (-inf when silent). Where the
            payloads are not known it is `Mode.peak_dbfs`: the power of a payload would give its size away.
    """

    total: NDArray[np.float64]
    variance: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    erased: bool
    reason: str
    clipped: NDArray[np.int64]
    transmit_power_dbfs: NDArray[np.float64]


NoiseSource = Literal["own", "others", "receiver"]


class PlanRule(Protocol):
    """How a mode turns a sounding into an `AirPlan`; depends on the channel alone, never on data. Arguments:
    `radio.inversion.Limits`."""

    def __call__(
        self,
        state: ChannelState,
        payload_peak: float,
        *,
        truncation: float = 0.1,
        amplitude_max: float = 1.0,
        mean_gain_power: float | None = None,
    ) -> AirPlan: ...


@dataclass(frozen=True)
class Mode:
    """What the floors above must know of a mode; they never ask for its name.

    Attributes:
        name: for messages and reports.
        csi: what sounding must find out: "complex" gains (a common reference clock), their "magnitude", or "none".
        counts_for_privacy: which noise may count against an observer of the air. "own", what the device itself added,
            counts everywhere. Where amplitudes add in phase, the noise of the other devices and of the receiver may be
            counted as well, if the user opts into that threat (design decision 5). In the other modes an observer tells
            the devices apart by slot, by sequence or by phase; what they send is post-processing of the noised payload
            (decision 10) and no accounting rests on secret phases, so only own noise counts.
        plan: power control of the mode.
        one_bit: only the sign of a payload is sent, and `total` is +-(active count).
        uses_per_scalar: slots or tones of the air that one scalar takes: channel uses.
        takes_turns: devices send one after another instead of at the same time.
        per_codeword: precoders are amplitudes of the codeword 1, not of a unit of payload.
    """

    name: str
    csi: Literal["complex", "magnitude", "none"]
    counts_for_privacy: tuple[NoiseSource, ...]
    plan: PlanRule
    one_bit: bool = False
    uses_per_scalar: int = 1
    takes_turns: bool = False
    per_codeword: bool = False

    def channel_uses(self, scalars: int, devices: int) -> int:
        """What `scalars` numbers of each of `devices` devices take of the air; pilots and references are not in it."""
        return self.uses_per_scalar * scalars * (devices if self.takes_turns else 1)

    def peak_dbfs(self, plan: AirPlan) -> NDArray[np.float64]:
        """(K,) power of an active device's payload at its peak, dB of a full-scale tone; -inf for the others. Follows from the
        plan alone."""
        amplitudes = np.abs(plan.precoders) * (1.0 if self.per_codeword else plan.payload_peak)
        with np.errstate(divide="ignore"):
            return np.asarray(20.0 * np.log10(np.where(plan.active, np.minimum(amplitudes, 1.0), 0.0)))

    def outcome(self, payloads: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) `total` of an air without errors for the active devices' payloads (n, P); a tied vote is 0."""
        if not self.one_bit:
            return np.asarray(payloads.sum(axis=0))
        return np.sign(np.where(payloads >= 0.0, 1.0, -1.0).sum(axis=0)) * payloads.shape[0]


@runtime_checkable
class Exposed(Protocol):
    """An air of a mode where the receiver's noise may be counted for privacy: it says how long one could listen."""

    @property
    def on_air_samples(self) -> int:
        """Samples in which one scalar is radiated, lead-in included: an observer may integrate over all of them."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """An air whose sounding says what is wrong with each device."""

    @property
    def faults(self) -> tuple[str, ...]:
        """(K,) "" or why a device was not trusted in the last sounding; () where that is not known."""
        ...


class Sounder(Protocol):
    """What power control needs of an air: its mode and the channel.

    In simulation every random draw of round t is a pure function of (experiment seed, t, purpose).
    """

    devices: int

    @property
    def mode(self) -> Mode: ...

    def sound(self, round_index: int) -> ChannelState: ...

    def close(self) -> None: ...


class Air(Sounder, Protocol):
    """`sound(t)`, then any number of `aggregate(t, ...)`, then the next round: for who holds all payloads."""

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """`payloads` is (K, P) real; rows of inactive devices are not sent."""
        ...


class Receiver(Sounder, Protocol):
    """`sound(t)`, then any number of `receive(t, ...)`: for who has the receiver alone; payloads are with their devices."""

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """Of the devices that are active in `plan`, who know its precoders, `scalars` numbers each."""
        ...


class SampledAir(Air, Receiver, Protocol):
    """Both, as every air over radios is."""
