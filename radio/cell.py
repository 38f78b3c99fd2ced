"""The radios of one air, whatever they are, and the air of any mode over them.

Simulated radios come from `Surroundings.cell`, Plutos from `radio.station.open_station`; nothing above knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radio.air import SampledAir
from radio.bank import RadioBank
from radio.cast import Cast
from radio.coherent import CoherentAir
from radio.energy import EnergyAir
from radio.errors import InputError
from radio.mapping import MappingName
from radio.radio import Radio
from radio.tdma import TdmaAir
from radio.vote import VoteAir

EDGE_SAMPLES = 32  # ringing of a start between two samples

SampledMode = Literal["tdma", "coherent", "energy", "vote"]


@dataclass(frozen=True)
class Cell:
    """K transmitters and a receiver.

    Attributes:
        transmitters: K radios, one for each device, or the cast that they are in elsewhere.
        receiver: the radio that listens.
        rate_sps: of all of them.
        guard_samples: the latest start.
        late_starts: every start is late by a time of its own, so that coherent mode must hold its tones.
        receive_gain_db: manual, for the whole run.
        adc_bits: of the receiver's converter; None for an ideal one.
        pilot_repeats: sweeps of coherent mode; 2 unless the common clock is beyond doubt.
        offset_hz: standard deviation of the residual carrier offset that coherent mode corrects.
        offset_max_hz: largest carrier offset that a receiver must expect.
        mean_power: (K,) mean |h_k|^2 at `receive_gain_db`, where known beforehand.
        on_phase: see `RadioBank`.
    """

    transmitters: Sequence[Radio] | Cast
    receiver: Radio
    rate_sps: float
    guard_samples: int
    late_starts: bool
    receive_gain_db: float
    adc_bits: int | None = 12
    pilot_repeats: int = 2
    offset_hz: float = 0.0
    offset_max_hz: float = 0.0
    mean_power: NDArray[np.float64] | None = None
    on_phase: Callable[[int, str], None] | None = None

    def bank(self) -> RadioBank:
        """For the modes of one transmission a slot."""
        return RadioBank(
            self.transmitters,
            self.receiver,
            rate_sps=self.rate_sps,
            guard_samples=self.guard_samples,
            receive_gain_db=self.receive_gain_db,
            adc_bits=self.adc_bits,
            on_phase=self.on_phase,
        )

    def coherent(
        self,
        *,
        window: int = 4096,
        pilot_window: int | None = None,
        truncation: float = 0.1,
        min_pilot_snr_db: float = 6.0,
    ) -> CoherentAir:
        """Where every start is late by a time of its own, the tones are held through a round.

        The receiver is told of no offset of the oscillators: coherent mode needs a common clock, and without one it must
        notice.
        """
        return CoherentAir(
            self.transmitters,
            self.receiver,
            window=window,
            pilot_window=pilot_window,
            pilot_repeats=self.pilot_repeats,
            rate_sps=self.rate_sps,
            guard_samples=EDGE_SAMPLES if self.late_starts else self.guard_samples,
            offset_prior_hz=self.offset_hz,
            receive_gain_db=self.receive_gain_db,
            adc_bits=self.adc_bits,
            truncation=truncation,
            min_pilot_snr_db=min_pilot_snr_db,
            hold_samples=self.guard_samples if self.late_starts else None,
            on_phase=self.on_phase,
        )

    def air(
        self,
        mode: SampledMode,
        seed: int,
        *,
        mapping: MappingName = "signed",
        average_power: bool = False,
        window: int = 4096,
        pilot_window: int | None = None,
        truncation: float = 0.1,
    ) -> SampledAir:
        """The air of that mode.

        Args:
            mode: how payloads are added.
            seed: of the public sequences.
            mapping: of energy mode, see `radio.mapping`.
            average_power: of energy mode: `mean_power` instead of pilots (REED).
            window: samples of the air that a scalar takes (of each device, in tdma).
            pilot_window: samples of a pilot; default `window`.
            truncation: a device below this fraction of the mean gain power is left out by coherent mode.

        Raises InputError for average powers that are not known.
        """
        if mode == "coherent":
            return self.coherent(window=window, pilot_window=pilot_window, truncation=truncation)
        if average_power and self.mean_power is None:
            raise InputError(
                "mapping is 'reed', which needs the mean power of every channel, and nothing has measured it; calibrate "
                "first, or take mapping 'signed'"
            )
        bank = self.bank()
        if mode == "tdma":
            return TdmaAir(bank, window=window, offset_max_hz=self.offset_max_hz)
        if mode == "vote":
            return VoteAir(bank, seed, window=window, offset_max_hz=self.offset_max_hz)
        return EnergyAir(
            bank,
            seed,
            window=window,
            pilot_window=pilot_window,
            mapping=mapping,
            average_power=self.mean_power if average_power else None,
        )
