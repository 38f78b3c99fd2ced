"""What is wrong with real transceivers, as settings. Everything is off by default, and what is off costs nothing.

Draws are pure functions of (seed, purpose) for what is fixed in an experiment (an oscillator's offset, a mixer's
imbalance, a gain table) and of (seed, round, phase, purpose) for what is not. Orders of magnitude: reference clocks of
consumer radios are good to 25 ppm and drift by 0.01 to 0.1 ppm/s after warm-up; attenuators step by 0.25 dB; mixers reject
their image by 30 to 50 dB; a transmission started over USB begins 5 to 50 ms after the call, with jitter of that order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from radio.errors import InputError

_MAY_BE_NEGATIVE = ("lo_leakage_dbfs", "dc_offset_dbfs", "compression_dbfs", "agc_target_dbfs")


@dataclass(frozen=True)
class Impairments:
    """Switches of a `Medium`. Frequencies in ppm are of the carrier and of the sampling clock alike (one oscillator).

    Attributes:
        oscillator_ppm: every oscillator, the receiver's too, is off by a uniform draw within +-this for the whole
            experiment: two radios differ by up to twice as much.
        drift_ppm_per_s: standard deviation of the drift of a device's oscillator against the receiver's, constant in a
            round.
        shared_clock: one reference feeds everybody: no offset, no drift, whatever the two settings above.
        phase_noise_deg: rms of a device's carrier phase against the receiver's, shaped by a phase-locked loop: flat up to
            `phase_noise_hz` and falling by 20 dB a decade beyond (an Ornstein-Uhlenbeck process).
        phase_noise_hz: that corner frequency.
        linewidth_hz: full width at half maximum of a carrier without a loop: phase is a Wiener process, its variance
            grows by 2 pi linewidth seconds.
        start_jitter_s: a transmission begins late by a uniform draw in [0, this], anew at every start.
        gain_step_db: transmit gains are rounded to multiples of this; 0 for none.
        gain_error_db: standard deviation of each step's own error, fixed for a device and step.
        iq_gain_db: standard deviation of the gain of one rail over the other's, of each transceiver.
        iq_phase_deg: standard deviation of the angle between the rails, less 90 degrees.
        lo_leakage_dbfs: carrier that a transmitter leaks whenever it is on, relative to a full-scale tone of its DAC
            before its attenuator; None for none.
        dc_offset_dbfs: offset at the receiver's ADC, relative to its full scale; None for none.
        compression_dbfs: level at a transmitter's output, behind its attenuator, at which its amplifier is 1 dB below the
            straight line (`frontend.Amplifier`), relative to a full-scale tone at transmit gain 0 dB; None for a linear one.
        agc: the receiver sets its gain by itself, from `receive_gain_db` on: each `agc_time_s` it closes the gap
            to `agc_target_dbfs` (mean power) by 1 - 1/e, up to +-40 dB about where it began.
        agc_target_dbfs, agc_time_s: see `agc`.
        burst_rate_hz: mean number of interference bursts a second (Poisson).
        burst_s: their length.
        burst_amplitude: rms at the receiver's antenna, a DAC's full scale at unit gain = 1; wide-band noise.
    """

    oscillator_ppm: float = 0.0
    drift_ppm_per_s: float = 0.0
    shared_clock: bool = False
    phase_noise_deg: float = 0.0
    phase_noise_hz: float = 1e4
    linewidth_hz: float = 0.0
    start_jitter_s: float = 0.0
    gain_step_db: float = 0.0
    gain_error_db: float = 0.0
    iq_gain_db: float = 0.0
    iq_phase_deg: float = 0.0
    lo_leakage_dbfs: float | None = None
    dc_offset_dbfs: float | None = None
    compression_dbfs: float | None = None
    agc: bool = False
    agc_target_dbfs: float = -12.0
    agc_time_s: float = 1e-3
    burst_rate_hz: float = 0.0
    burst_s: float = 1e-4
    burst_amplitude: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or isinstance(value, bool):
                continue
            if not math.isfinite(value) or (value < 0.0 and field.name not in _MAY_BE_NEGATIVE):
                least = "" if field.name in _MAY_BE_NEGATIVE else ", at least 0"
                raise InputError(f"{field.name} is {value}; allowed: a finite number{least}")
        for name in ("phase_noise_hz", "agc_time_s", "burst_s"):
            if getattr(self, name) == 0.0:
                raise InputError(f"{name} is 0; a positive number is needed (the effect has a switch of its own)")

    @property
    def common_clock(self) -> bool:
        """True: no device's carrier moves against the receiver's, but for phase noise."""
        return self.shared_clock or (self.oscillator_ppm == 0.0 and self.drift_ppm_per_s == 0.0)


NONE = Impairments()


def switched(base: Impairments, changes: Mapping[str, float | bool]) -> Impairments:
    """`base` with other values of the settings named in `changes`; False puts out what None stands for
    (`lo_leakage_dbfs`, `dc_offset_dbfs`, `compression_dbfs`).

    Raises InputError for names and values that there are not.
    """
    values: dict[str, float | bool | None] = {}
    defaults = {field.name: field.default for field in fields(Impairments)}
    for name, value in changes.items():
        if name not in defaults:
            raise InputError(f"{name!r} is no impairment; allowed: {', '.join(defaults)}")
        if value is False and defaults[name] is None:
            values[name] = None
        elif isinstance(value, bool) != isinstance(defaults[name], bool):
            raise InputError(
                f"{name} is {value}; allowed: {'true or false' if isinstance(defaults[name], bool) else 'a number'}"
            )
        else:
            values[name] = value
    return replace(base, **values)  # type: ignore[arg-type]
