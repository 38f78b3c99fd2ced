"""Where simulated radios stand: channel, noise and impairments from plain settings or a named profile, for any mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radio.bank import RadioBank
from radio.cell import EDGE_SAMPLES, Cell
from radio.channel import Channel
from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading, FadingKind
from radio.impairments import NONE, Impairments
from radio.loopback import LoopbackRadio
from radio.measured import load_channel
from radio.medium import Medium
from radio.profiles import PROFILES, profile
from radio.radio import Radio
from radio.symbol_channel import SymbolChannel

CREST = 5.0  # noise peak over its standard deviation in one rail that the ADC leaves room for (6e-7 a sample)
PROFILE_NAMES = ("none", *PROFILES)


def noise_variance_of(snr_db: float, window: int, mean_power: float) -> float:
    """E|n|^2 per complex sample for an SNR per received scalar (design.md section 4).

    SNR = P E|h|^2 / N0 with P = 1 (full-scale tone) and N0 the noise of one real dimension after integration over the
    window, E|n|^2 / (2 M); so E|n|^2 = 2 M E|h|^2 / SNR. The same air for every mode: modes that add energies lose against
    it what the lack of a phase costs.
    """
    return 2.0 * window * mean_power / 10.0 ** (snr_db / 10.0)


def receive_gain_plan_db(fading: Channel, noise_variance: float, headroom_db: float = 1.0) -> float:
    """Manual receive gain, from statistics alone and held for the whole run.

    Largest signals: one pilot in an up-fade, 4 rms of the nearest device (exp(-16) under Rayleigh); and K devices in
    phase after inversion, K min|h| A_max, for which 1.5 K rms is exceeded only if every device is above 1.5 rms
    (exp(-2.25 K)). On top, `CREST` standard deviations of noise in a rail, which dominates at low SNR: a tone far below
    the noise is still measured, because the noise dithers the ADC. Near-far spread costs ADC bits; nothing hides that.
    """
    power = fading.mean_power
    fade = 1.0 if fading.kind == "static" else 4.0
    together = 1.0 if fading.kind == "static" else 1.5
    signal = max(fade * math.sqrt(power.max()), together * fading.devices * math.sqrt(power.mean()))
    return -20.0 * math.log10(signal + CREST * math.sqrt(noise_variance / 2.0)) - headroom_db


@dataclass(frozen=True)
class Surroundings:
    """K devices and a receiver on one simulated air.

    Attributes:
        channel: gains by round.
        noise_variance: E|n|^2 per complex sample at the antenna.
        seed: of every draw.
        rate_sps: sampling rate.
        lo_hz: carrier frequency.
        offset_hz: standard deviation of the residual carrier offset of a round.
        timing_samples: largest start offset that a device keeps through a round.
        dac_bits, adc_bits: converters; None is ideal.
        impairments: what else is wrong with the radios.
        listen: what the receiver is wrapped in, for example a recorder; None: nothing.
    """

    channel: Channel
    noise_variance: float
    seed: int
    rate_sps: float = 1e6
    lo_hz: float = 915e6
    offset_hz: float = 0.0
    timing_samples: float = 0.0
    dac_bits: int | None = 12
    adc_bits: int | None = 12
    impairments: Impairments = NONE
    listen: Callable[[Radio], Radio] | None = None

    @property
    def devices(self) -> int:
        return self.channel.devices

    @property
    def oscillator_hz(self) -> float:
        """Largest carrier offset by the oscillators' tolerance, a device's and the receiver's; 0 with a common clock."""
        free = not self.impairments.common_clock
        return 2e-6 * self.impairments.oscillator_ppm * self.lo_hz if free else 0.0

    @property
    def offset_std_hz(self) -> float:
        """Standard deviation of all carrier offsets: the difference of two uniform tolerances, and the residual's."""
        return math.hypot(self.offset_hz, self.oscillator_hz / math.sqrt(6.0))

    @property
    def offset_max_hz(self) -> float:
        """What a receiver must expect: the tolerances' largest, four standard deviations of the residual, some drift."""
        return 1.02 * self.oscillator_hz + 4.0 * self.offset_hz

    @property
    def guard_samples(self) -> int:
        """Lead-in to throw away: the latest start."""
        latest = self.timing_samples + self.impairments.start_jitter_s * self.rate_sps
        return math.ceil(latest) + EDGE_SAMPLES if latest > 0.0 else 0

    @property
    def pilot_repeats(self) -> int:
        """Pilot sweeps of coherent mode: two where an offset must be estimated or a moving clock found out."""
        return 2 if self.offset_hz > 0.0 or self.impairments != NONE else 1

    @property
    def receive_gain_db(self) -> float:
        return receive_gain_plan_db(self.channel, self.noise_variance)

    def medium(self) -> Medium:
        return Medium(
            self.channel,
            self.seed,
            noise_variance=self.noise_variance,
            rate_sps=self.rate_sps,
            lo_hz=self.lo_hz,
            dac=Converter(self.dac_bits),
            adc=Converter(self.adc_bits),
            offset_hz=self.offset_hz,
            timing_samples=self.timing_samples,
            impairments=self.impairments,
        )

    def receiver(self, medium: Medium) -> Radio:
        """The radio that listens on `medium`."""
        radio = LoopbackRadio(medium)
        return radio if self.listen is None else self.listen(radio)

    def cell(self, medium: Medium) -> Cell:
        """Loopback radios on `medium`, which is `medium()` or made like it."""
        return Cell(
            [LoopbackRadio(medium, k) for k in range(self.devices)],
            self.receiver(medium),
            rate_sps=self.rate_sps,
            guard_samples=self.guard_samples,
            late_starts=self.impairments.start_jitter_s > 0.0,
            receive_gain_db=self.receive_gain_db,
            adc_bits=self.adc_bits,
            pilot_repeats=self.pilot_repeats,
            offset_hz=self.offset_hz,
            offset_max_hz=self.offset_max_hz,
            mean_power=self.channel.mean_power * 10.0 ** (self.receive_gain_db / 10.0),
            on_phase=medium.begin,
        )

    def bank(self, medium: Medium) -> RadioBank:
        """`cell(medium)` as a bank."""
        return self.cell(medium).bank()

    def symbols(self) -> SymbolChannel:
        """The same channel and noise at symbol fidelity, without converters and impairments."""
        return SymbolChannel(self.channel, self.noise_variance, self.seed)


def from_settings(
    devices: int,
    seed: int,
    *,
    window: int,
    snr_db: float = 30.0,
    fading: FadingKind = "rayleigh",
    rician_k_db: float = 6.0,
    path_loss_db: float | Sequence[float] = 0.0,
    coherence_rounds: int = 1,
    doppler_hz: float = 0.0,
    round_s: float = 0.0,
    tap_delays_s: Sequence[float] = (),
    tap_powers_db: Sequence[float] = (),
    offset_hz: float = 0.0,
    timing_samples: float = 0.0,
    dac_bits: int | None = 12,
    adc_bits: int | None = 12,
    rate_sps: float = 1e6,
    channel: str | None = None,
) -> Surroundings:
    """Fading (see `Fading`), white noise, residual offset, late starts; `snr_db` as `noise_variance_of` with this window.

    `channel`: file of a measured channel that takes the place of the fading (`radio.measured`).
    """
    if not math.isfinite(snr_db):
        raise InputError(f"snr_db is {snr_db}; a finite number of dB is needed (air = ideal has no noise)")
    gains: Channel = Fading(
        devices,
        seed,
        fading,
        rician_k_db,
        path_loss_db,
        coherence_rounds,
        doppler_hz=doppler_hz,
        round_s=round_s,
        tap_delays_s=tuple(tap_delays_s),
        tap_powers_db=tuple(tap_powers_db),
    )
    if channel is not None:
        gains = load_channel(Path(channel), devices, round_s)
    noise_variance = noise_variance_of(snr_db, window, float(gains.mean_power.mean()))
    return Surroundings(
        gains,
        noise_variance,
        seed,
        rate_sps,
        offset_hz=offset_hz,
        timing_samples=timing_samples,
        dac_bits=dac_bits,
        adc_bits=adc_bits,
    )


def from_profile(
    name: str, devices: int, seed: int, *, shared_clock: bool = False, rate_sps: float = 1e6, lo_hz: float = 915e6
) -> Surroundings:
    """A named profile of `radio.profiles`, with one reference clock for all radios if `shared_clock`."""
    named = profile(name)
    if shared_clock:
        named = named.shared_clock()
    channel = named.channel(devices, seed)
    return Surroundings(
        channel,
        float(channel.mean_power.mean()) / 10.0 ** (named.sample_snr_db / 10.0),
        seed,
        rate_sps,
        lo_hz,
        dac_bits=named.bits,
        adc_bits=named.bits,
        impairments=named.impairments,
    )
