"""A coherent air on the simulated medium, from plain settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from radio.coherent import CoherentAir
from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading, FadingKind
from radio.loopback import LoopbackRadio
from radio.medium import Medium

CREST = 5.0  # noise peak over its standard deviation in one rail that the ADC leaves room for (6e-7 a sample)


def noise_variance_of(snr_db: float, window: int, mean_power: float) -> float:
    """E|n|^2 per complex sample for an SNR per received scalar (design.md section 4).

    SNR = P E|h|^2 / N0 with P = 1 (full-scale tone) and N0 the noise of one real dimension after integration over the
    window, E|n|^2 / (2 M); so E|n|^2 = 2 M E|h|^2 / SNR.
    """
    return 2.0 * window * mean_power / 10.0 ** (snr_db / 10.0)


def receive_gain_plan_db(fading: Fading, noise_variance: float, headroom_db: float = 1.0) -> float:
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


def loopback_parts(
    devices: int,
    seed: int,
    *,
    fading: FadingKind = "rayleigh",
    rician_k_db: float = 6.0,
    path_loss_db: float | Sequence[float] = 0.0,
    coherence_rounds: int = 1,
    snr_db: float = 30.0,
    offset_hz: float = 0.0,
    timing_samples: float = 0.0,
    dac_bits: int | None = 12,
    adc_bits: int | None = 12,
    window: int = 4096,
    pilot_window: int | None = None,
    rate_sps: float = 1e6,
    truncation: float = 0.1,
    min_pilot_snr_db: float = 6.0,
) -> tuple[Medium, CoherentAir]:
    """The medium (truths for plots and tests) and a coherent air over loopback radios on it, at sample fidelity.

    Args:
        devices: K.
        seed: of every draw of the medium.
        fading: "rayleigh", "rician" or "static" (unit gains with a fixed phase).
        rician_k_db: line-of-sight power over scattered power.
        path_loss_db: one value, or one for each device.
        coherence_rounds: rounds for which gains hold.
        snr_db: per received scalar after integration, of a full-scale payload at the devices' mean gain power.
        offset_hz: standard deviation of the residual carrier offset; also what the estimator is told to expect. 0 is a
            common reference clock.
        timing_samples: largest start offset.
        dac_bits, adc_bits: converters; None is ideal.
        window: samples over which a payload is integrated.
        pilot_window: samples of a pilot; default `window`.
        rate_sps: sampling rate.
        truncation: a device below this fraction of the mean gain power is left out by `CoherentAir.plan`.
        min_pilot_snr_db: a gain estimate worse than this is not trusted. A pilot is a full-scale tone, so its SNR is
            `snr_db` - 3 dB + 10 log10(pilot_window / window) at the mean gain: below about 15 dB, lengthen the pilots.
    """
    if not math.isfinite(snr_db):
        raise InputError(f"snr_db is {snr_db}; a finite number of dB is needed (air = ideal has no noise)")
    channel = Fading(devices, seed, fading, rician_k_db, path_loss_db, coherence_rounds)
    noise_variance = noise_variance_of(snr_db, window, float(channel.mean_power.mean()))
    medium = Medium(
        channel,
        seed,
        noise_variance=noise_variance,
        rate_sps=rate_sps,
        dac=Converter(dac_bits),
        adc=Converter(adc_bits),
        offset_hz=offset_hz,
        timing_samples=timing_samples,
    )
    air = CoherentAir(
        [LoopbackRadio(medium, k) for k in range(devices)],
        LoopbackRadio(medium),
        window=window,
        pilot_window=pilot_window,
        pilot_repeats=2 if offset_hz > 0.0 else 1,
        rate_sps=rate_sps,
        guard_samples=math.ceil(timing_samples) + 32 if timing_samples > 0.0 else 0,
        offset_prior_hz=offset_hz,
        receive_gain_db=receive_gain_plan_db(channel, noise_variance),
        adc_bits=adc_bits,
        truncation=truncation,
        min_pilot_snr_db=min_pilot_snr_db,
        on_phase=medium.begin,
    )
    return medium, air


def loopback_air(devices: int, seed: int, **settings: Any) -> CoherentAir:
    """The air alone; settings as `loopback_parts`."""
    return loopback_parts(devices, seed, **settings)[1]
