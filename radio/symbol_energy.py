"""Energy aggregation at symbol fidelity: the distribution of every slot's energy, without its samples.

The power of a slot of M samples is that of sum_k a_k u_k(i) + n(i), u_k independent uniform phases. Given the signal's
own power S (it fluctuates by the cross terms), noise makes it a noncentral chi-square, exactly:

    E = s^2/(2 M) chi'^2(2 M, 2 M S / s^2)

S is a mean of M independent powers of a K-step random walk. Its first three cumulants are, with A_k = a_k^2,

    sum A_k,   sum_{k != l} A_k A_l / M,   2 sum_{k, l, m distinct} A_k A_l A_m / M^2,

and it is drawn as the shifted Gamma that has them (normal where the third vanishes: K <= 2); what is left out is of order
1/M of the excess kurtosis. Everything is vectorised over leading axes: devices are the last axis, rounds come before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import sounded_state
from radio.energy import ENERGY
from radio.energy_slot import energy_variance
from radio.equalisation import equalise, power_dbfs, snr_db
from radio.errors import InputError
from radio.inversion import check_payloads
from radio.mapping import Mapping, MappingName
from radio.symbol_channel import SymbolChannel
from radio.tone import SMALLEST_WINDOW

Floats = NDArray[np.float64]


def signal_power(powers: Floats, window: int, draws: np.random.Generator) -> Floats:
    """(...) power S of M samples of devices with received powers (..., K)."""
    p1, p2, p3 = powers.sum(axis=-1), (powers**2).sum(axis=-1), (powers**3).sum(axis=-1)
    second = np.maximum(p1**2 - p2, 0.0) / window
    third = 2.0 * (p1**3 - 3.0 * p1 * p2 + 2.0 * p3) / window**2
    skewed = third > 1e-9 * p1**3 / window**2
    shape = 4.0 * second**3 / np.where(skewed, third, 1.0) ** 2
    shape = np.where(skewed, shape, 1.0)
    deviation = np.where(
        skewed, (draws.standard_gamma(shape) - shape) / np.sqrt(shape), draws.standard_normal(shape.shape)
    )
    return np.asarray(np.maximum(p1 + np.sqrt(second) * deviation, 0.0))


def slot_power(powers: Floats, noise_variance: float, window: int, draws: np.random.Generator) -> Floats:
    """(...) mean power of a slot, noise included, of devices with received powers (..., K)."""
    signal = signal_power(powers, window, draws)
    if not noise_variance > 0.0:
        return signal
    each = noise_variance / (2 * window)
    return np.asarray(each * draws.noncentral_chisquare(2 * window, signal / each))


@dataclass(frozen=True)
class EnergyStatistics:
    """The receiver of `EnergyAir` on drawn energies; attributes as there.

    Attributes:
        window: samples that one scalar takes, all slots of the mapping together.
        pilot_window: samples of a pilot.
        mapping: see `radio.mapping`.
        min_pilot_snr_db: see `EnergyAir`.
    """

    window: int = 4096
    pilot_window: int = 4096
    mapping: Mapping = field(default_factory=Mapping)
    min_pilot_snr_db: float = 6.0

    def __post_init__(self) -> None:
        if min(self.slot_window, self.pilot_window) < SMALLEST_WINDOW:
            raise InputError(
                f"window is {self.window} and pilot_window {self.pilot_window} samples; at least "
                f"{SMALLEST_WINDOW * self.mapping.slots} and {SMALLEST_WINDOW} are needed"
            )

    @property
    def slot_window(self) -> int:
        return self.window // self.mapping.slots

    def sound(
        self, power: Floats, noise_variance: float, draws: np.random.Generator
    ) -> tuple[Floats, Floats, NDArray[np.bool_], Floats]:
        """Estimates of |h|^2 (..., K) from true ones, their variance, whether to trust them, and the floor (...)."""
        floor = slot_power(np.zeros((*power.shape[:-1], 1)), noise_variance, self.window, draws)
        pilots = slot_power(power[..., None], noise_variance, self.pilot_window, draws)
        estimate = pilots - floor[..., None]
        positive = np.maximum(estimate, 0.0)
        variance = energy_variance(positive[..., None], floor[..., None], self.pilot_window)
        variance = variance + floor[..., None] ** 2 / self.window
        ratio = 10.0 ** (self.min_pilot_snr_db / 10.0)
        return positive, variance, (estimate > 0.0) & (estimate**2 >= ratio * variance), floor

    def aggregate(
        self,
        received: Floats,
        codewords: Floats,
        unit: Floats,
        floor: Floats,
        active: NDArray[np.intp],
        noise_variance: float,
        draws: np.random.Generator,
    ) -> tuple[Floats, Floats]:
        """Sum (...) in payload peaks and its variance as the receiver predicts it.

        Args:
            received: (..., K) true received power of the codeword 1 from each device.
            codewords: (..., K, slots) as sent; 0 for silent devices.
            unit: (...) the power that the plan means the codeword 1 to arrive with.
            floor: (...) noise floor as sounded.
            active: (...) number of devices that sent.
        """
        energies = np.stack(
            [
                slot_power(received * codewords[..., s], noise_variance, self.slot_window, draws)
                for s in range(self.mapping.slots)
            ],
            axis=-1,
        )
        unit = np.where(unit > 0.0, unit, np.nan)
        total = self.mapping.decode(energies, unit, floor, active)
        signal = np.maximum(energies - floor[..., None], 0.0)
        split = 1.0 - 1.0 / np.maximum(active, 1)[..., None]
        bound = (split * signal**2 + 2.0 * floor[..., None] * signal + floor[..., None] ** 2) / self.slot_window
        # The samples' scatter, which the receiver would see, is taken at its mean.
        scatter = energy_variance(
            np.swapaxes(received[..., None] * codewords, -1, -2), noise_variance, self.slot_window
        )
        spread = np.minimum(bound, scatter)
        spread = spread.sum(axis=-1) + (floor**2 / self.window if self.mapping.slots == 1 else 0.0)
        return total, np.asarray((self.mapping.slope / unit) ** 2 * spread)

    def rounds(
        self,
        power: Floats,
        values: Floats,
        noise_variance: float,
        draws: np.random.Generator,
        *,
        truncation: float = 0.1,
        amplitude_max: float = 1.0,
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Many whole rounds at once: sounding, power control, one scalar.

        Args:
            power: (R, K) true |h|^2.
            values: (R, K) payloads over their peak, in [-1, 1].
            truncation: see `plan_equal_power`; of the mean of each round's sounding.

        Returns:
            (R,) sums in payload peaks, NaN where nobody is active, and (R, K) who was.
        """
        estimate, variance, trusted, floor = self.sound(power, noise_variance, draws)
        active = trusted & (estimate >= truncation * estimate.mean(axis=-1, keepdims=True))
        relative = variance / np.where(estimate > 0.0, estimate, np.inf) ** 2
        amplitudes, unit = equalise(estimate, relative, active, amplitude_max)
        codewords = self.mapping.encode(values) * active[..., None]
        total, _ = self.aggregate(
            power * amplitudes**2, codewords, unit, floor, active.sum(axis=-1), noise_variance, draws
        )
        return total, active


class SymbolEnergyAir:
    """`Air` by energies at symbol fidelity; arguments as `EnergyAir`."""

    def __init__(
        self,
        channel: SymbolChannel,
        *,
        window: int = 4096,
        pilot_window: int | None = None,
        mapping: MappingName = "signed",
        average_power: bool = False,
        min_pilot_snr_db: float = 6.0,
    ) -> None:
        self.devices = channel.devices
        self.average_power = average_power
        self.statistics = EnergyStatistics(
            window, window if pilot_window is None else pilot_window, Mapping(mapping), min_pilot_snr_db
        )
        self._channel = channel
        self._floor: tuple[int, float] | None = None

    @property
    def mode(self) -> Mode:
        return replace(ENERGY, uses_per_scalar=self.statistics.mapping.slots)

    def sound(self, round_index: int) -> ChannelState:
        power = np.abs(self._channel.gains(round_index)) ** 2
        draws = self._channel.draws(round_index, "sound")
        estimate, variance, quality, floor = self.statistics.sound(power, self._channel.noise_variance, draws)
        if self.average_power:
            estimate, variance = self._channel.fading.mean_power, np.zeros(self.devices)
            quality = np.ones(self.devices, dtype=bool)
        self._floor = (round_index, float(floor))
        return ChannelState(
            gains=np.sqrt(estimate).astype(np.complex128),
            gain_variance=variance / (4.0 * np.where(estimate > 0.0, estimate, np.inf)),
            offset_hz=np.zeros(self.devices),
            noise_variance=float(floor),
            quality=quality,
        )

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        payloads = check_payloads(payloads, plan, self.devices)
        floor = sounded_state(round_index, self._floor)
        mapping, count = self.statistics.mapping, payloads.shape[1]
        codewords = mapping.encode(np.where(plan.active[:, None], payloads, 0.0) / plan.payload_peak)  # (K, P, slots)
        wanted = np.abs(np.where(plan.active, plan.precoders, 0.0))[:, None, None] * np.sqrt(codewords)
        sent = np.minimum(wanted, 1.0)
        erased = not plan.active.any() or not plan.alignment > 0.0
        total = variance = np.full(count, np.nan)
        if not erased:
            power = np.abs(self._channel.gains(round_index)) ** 2
            total, variance = self.statistics.aggregate(
                np.broadcast_to(power, (count, self.devices)),
                np.moveaxis(sent**2, 0, 1),
                np.full(count, plan.alignment),
                np.full(count, floor),
                np.full(count, int(plan.active.sum())),
                self._channel.noise_variance,
                self._channel.draws(round_index, "air"),
            )
            total, variance = plan.payload_peak * total, plan.payload_peak**2 * variance
        over = (wanted > 1.0 + 1e-12).sum(axis=(1, 2)) * self.statistics.slot_window
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, variance),
            erased=erased,
            reason="no active device" if erased else "",
            clipped=over.astype(np.int64),
            transmit_power_dbfs=power_dbfs(sent.reshape(self.devices, -1)),
        )

    def close(self) -> None:
        """Nothing to give back."""
