"""Aggregation of energies: no phase, no common clock, coarse starts. The default for free-running radios.

A payload is mapped to codewords that are never negative (`radio.mapping`), and a codeword to the power of a random-phase
sequence held for a slot. The sequences of different devices and slots are distinct, so that powers add at the receiver
up to cross terms that average out. They are sent cyclically: a late start is a circular shift, a carrier offset a
rotation, and neither changes a power. What must be known is |h_k|^2, measured from each device's sequence alone. An image
(IQ imbalance) does not matter here: a mirrored sequence is as white as the sequence, its power is a fixed part of the
sequence's own, and pilots and payloads hold it alike.

Powers add only while the receiver's gain stands still, and signals as white as noise hide the floor that would tell.
Sounding therefore ends with a slot of all devices at once, whose power must be the sum of theirs, and a round with an
all-off slot, whose noise must be that of the first one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import RadioBank, sounded_state
from radio.cue import Cue
from radio.energy_slot import SlotPower, energy_variance, measure_power
from radio.equalisation import plan_equal_power, snr_db
from radio.errors import InputError
from radio.inversion import check_payloads
from radio.mapping import Mapping, MappingName
from radio.modulator import EnergyModulator
from radio.outlier import DEVIATIONS, floor_change
from radio.tone import SMALLEST_WINDOW

ENERGY = Mode("energy", "magnitude", ("own",), plan_equal_power, uses_per_scalar=2, per_codeword=True)


class EnergyAir:
    """`Air` by energies of random-phase sequences.

    A receive gain that moves and does not say so (`receive_gain_db`) is found by the noise of the first and the last
    slot, both all-off: `window` of 4096 samples tell 0.45 dB, 16384 tell 0.23 dB (an error of 11 % or 5.4 % of the sum, which
    for payloads uniform in [-X, X] and K = 5 is 2.8 % or 1.4 % of full scale rms); less stays hidden, and is not in
    `Received.variance`. Gain control so fast that every slot is at the same level is found by the slot of all devices, whose
    power must be the sum of the devices' within `additivity_db`. With `average_power` nobody is sounded and the second
    test falls away: the gain must then be manual.

    Args:
        bank: the radios.
        seed: public; the sequences are drawn from it.
        window: samples that one scalar takes, shared out evenly among the slots of the mapping.
        pilot_window: samples of a pilot (default: `window`).
        mapping: see `radio.mapping`.
        average_power: (K,) mean |h_k|^2 of a calibration, at the bank's receive gain. Given, nothing is sounded but the
            noise floor: the power rule of REED (arXiv 2605.07263), unbiased over fading, not in a given round.
        min_pilot_snr_db: a gain estimate below this ratio |h|^4 / Var(|h|^2) is not trusted.
        distortion_dbc: power of a spectral line, relative to the devices' full scale, that is our own.
        additivity_db: what the power of all devices together may be off the sum of theirs, beyond chance: a channel that
            moves while it is sounded.
    """

    def __init__(
        self,
        bank: RadioBank,
        seed: int,
        *,
        window: int = 4096,
        pilot_window: int | None = None,
        mapping: MappingName = "signed",
        average_power: ArrayLike | None = None,
        min_pilot_snr_db: float = 6.0,
        distortion_dbc: float = -30.0,
        additivity_db: float = 1.0,
    ) -> None:
        self.mapping = Mapping(mapping)
        self.window = window // self.mapping.slots
        self.idle_window = window
        self.pilot_window = window if pilot_window is None else pilot_window
        if min(self.window, self.pilot_window) < SMALLEST_WINDOW:
            raise InputError(
                f"window is {window} and pilot_window {self.pilot_window} samples; at least "
                f"{SMALLEST_WINDOW * self.mapping.slots} and {SMALLEST_WINDOW} are needed with mapping {mapping}"
            )
        self.devices = bank.devices
        self.average_power = None if average_power is None else np.asarray(average_power, dtype=np.float64)
        if self.average_power is not None and (
            self.average_power.shape != (self.devices,)
            or not np.all(np.isfinite(self.average_power) & (self.average_power > 0.0))
        ):
            raise InputError(
                f"average_power is {self.average_power}; a positive number for each of the {self.devices} devices is "
                "needed"
            )
        self.min_pilot_ratio = 10.0 ** (min_pilot_snr_db / 10.0)
        self.distortion = 10.0 ** (distortion_dbc / 10.0)
        self.additivity = 10.0 ** (additivity_db / 10.0) - 1.0
        self._bank = bank
        bank.equip(EnergyModulator(seed, bank.devices, self.window, self.pilot_window, self.mapping))
        self._sounded: tuple[int, ChannelState] | None = None
        self._fault = ""
        self._noise = 0.0
        self._sounded_gain_db = bank.receive_gain_db

    @property
    def mode(self) -> Mode:
        return replace(ENERGY, uses_per_scalar=self.mapping.slots)

    def sound(self, round_index: int) -> ChannelState:
        """An idle slot, every device's sequence alone, then all together. `gains` are |h|: their phase is 0."""
        with self._bank.phase(round_index, "sound"):
            self._sounded_gain_db = self._bank.receive_gain_db
            idle = self._bank.slot({}, self.idle_window)
            silence = measure_power(idle, 0.0, 0)
            fault = self._bank.fault(idle) or silence.fault
            self._fault = f"idle slot: {fault}" if fault else ""
            self._noise = float(np.var(idle))
            floor = max(silence.power, self._bank.floor_variance)
            if self.average_power is None:
                power, variance, quality = self._pilots(round_index, floor)
                self._fault = self._fault or self._together(round_index, floor, power, variance, quality)
            else:
                power, variance = self.average_power, np.zeros(self.devices)
                quality = np.ones(self.devices, dtype=bool)
        positive = np.maximum(power, 0.0)
        state = ChannelState(
            gains=np.sqrt(positive).astype(np.complex128),
            gain_variance=variance / (4.0 * np.where(positive > 0.0, positive, np.inf)),
            offset_hz=np.zeros(self.devices),
            noise_variance=floor,
            quality=quality & self._bank.present & (not self._fault),
        )
        self._sounded = (round_index, state)
        return state

    def _pilots(
        self, round_index: int, floor: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """(K,) unbiased |h|^2, its variance, and whether to trust it."""
        power, quality = np.zeros(self.devices), np.zeros(self.devices, dtype=bool)
        for k in range(self.devices):
            heard = self._bank.slot({k: Cue("pilot", round_index)}, self.pilot_window)
            if self._bank.fault(heard):
                continue
            measured = measure_power(heard, floor, 1, self.distortion * float(np.mean(np.abs(heard) ** 2)))
            power[k] = measured.power - floor
            quality[k] = not measured.fault
        floor_variance = floor**2 / self.idle_window
        variance = energy_variance(np.maximum(power, 0.0)[:, None], floor, self.pilot_window) + floor_variance
        quality &= (power > 0.0) & (power**2 >= self.min_pilot_ratio * variance)
        return power, variance, quality

    def _together(
        self,
        round_index: int,
        floor: float,
        power: NDArray[np.float64],
        variance: NDArray[np.float64],
        trusted: NDArray[np.bool_],
    ) -> str:
        """Why the trusted devices' powers cannot be trusted to add, or ""."""
        devices = np.flatnonzero(trusted)
        if not devices.size:
            return ""
        # Less than full power, for an ADC that is set for likely sums; never a sum that is one device's pilot again.
        share = 0.75 if devices.size == 2 else 0.5
        cue = Cue("together", round_index, level=math.sqrt(share))
        heard = self._bank.slot({int(k): cue for k in devices}, self.pilot_window)
        if fault := self._bank.fault(heard):
            return fault
        expected = share * float(power[devices].sum())
        spread = float(energy_variance(share * power[devices], floor, self.pilot_window))
        spread += share**2 * float(variance[devices].sum()) + (devices.size * floor) ** 2 / self.idle_window
        found = float(np.mean(np.abs(heard) ** 2)) - floor
        if abs(found - expected) <= DEVIATIONS * math.sqrt(spread) + self.additivity * expected:
            return ""
        away = 10.0 * math.log10(max(found, 1e-300) / expected)
        return (
            f"powers do not add: of all devices together they are {away:+.1f} dB off their sum; switch automatic gain control "
            "off, or lower the transmit gains (compression)"
        )

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """`receive`, of `payloads` (K, P)."""
        payloads = check_payloads(payloads, plan, self.devices)
        self._bank.load(payloads, plan)
        return self._bank.account(self.receive(round_index, payloads.shape[1], plan), self.window)

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """A slot for each codeword of each of `scalars` numbers, and one of silence."""
        state = sounded_state(round_index, self._sounded)
        total, variance = np.full(scalars, np.nan), np.full(scalars, np.nan)
        active = np.flatnonzero(plan.active)
        reason = ""
        if not active.size or not plan.alignment > 0.0:
            reason = "no active device" + (f"; {self._fault}" if self._fault else "")
        else:
            with self._bank.phase(round_index, "air"):
                for p in range(scalars):
                    measured = []
                    for s in range(self.mapping.slots):
                        measured.append(self._slot(Cue("payload", round_index, p, s), active, state, plan))
                        reason = reason or measured[-1].fault
                    if reason:
                        break
                    total[p], variance[p] = self._decode(measured, active.size, state, plan)
                reason = reason or self._moved(self._bank.slot({}, self.idle_window))
        if reason:
            total[:] = variance[:] = np.nan
        return Received(
            total=total,
            variance=variance,
            snr_db=snr_db(plan.payload_peak, variance),
            erased=bool(reason),
            reason=reason,
            clipped=np.full(self.devices, -1),
            transmit_power_dbfs=self.mode.peak_dbfs(plan),
        )

    def _slot(self, cue: Cue, active: NDArray[np.intp], state: ChannelState, plan: AirPlan) -> SlotPower:
        heard = self._bank.slot({int(k): cue for k in active}, self.window)
        if fault := self._bank.fault(heard):
            return SlotPower(math.nan, math.nan, fault)
        full = float(active.size) * plan.alignment
        measured = measure_power(heard, state.noise_variance, active.size, self.distortion * full)
        if measured.fault:
            return measured
        # Half as much again as all devices at full scale: the channel's estimates are not that wrong.
        most = 1.5 * float((np.abs(state.gains[active]) ** 2).sum())
        if self.average_power is not None:
            most *= 16.0  # of an up-fade, exp(-16) under Rayleigh
        most += state.noise_variance + 6.0 * math.sqrt(measured.variance)
        if measured.power > most:
            fault = f"interference: received power {measured.power:.3g}, devices send {most:.3g} at most"
            return SlotPower(measured.power, measured.variance, fault)
        return measured

    def _moved(self, idle: NDArray[np.complex128]) -> str:
        """Why the receiver, or the closing all-off slot, says that the receive gain moved, or ""."""
        before, now = self._sounded_gain_db, self._bank.receive_gain_db
        if now != before:
            return f"the receive gain was {before:g} dB in sounding and is {now:g} dB; hold it"
        if fault := self._bank.fault(idle):
            return fault
        noise = float(np.var(idle))  # a DC offset is behind the gain
        if not floor_change(self._noise, noise, idle.size, degrees=2.0, quantisation=self._bank.floor_variance):
            return ""
        away = 10.0 * math.log10(max(noise, 1e-300) / max(self._noise, 1e-300))
        return (
            f"the noise moved by {away:+.1f} dB from the first all-off slot to the last: switch automatic gain control off "
            "(or there is interference)"
        )

    def _decode(
        self, measured: list[SlotPower], active: int, state: ChannelState, plan: AirPlan
    ) -> tuple[float, float]:
        """The sum in payload units, and its variance."""
        energies = np.array([m.power for m in measured])
        value = float(self.mapping.decode(energies, plan.alignment, state.noise_variance, active))
        spread = sum(m.variance for m in measured)
        if self.mapping.slots == 1:
            spread += state.noise_variance**2 / self.idle_window
        scale = plan.payload_peak * self.mapping.slope / plan.alignment
        return plan.payload_peak * value, scale**2 * spread

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        self._bank.close()

    def __enter__(self) -> EnergyAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
