"""A coherent air on the simulated medium, from plain settings."""

from __future__ import annotations

from typing import Any

from radio.coherent import CoherentAir
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.surroundings import EDGE_SAMPLES, Surroundings, from_settings, noise_variance_of, receive_gain_plan_db

__all__ = ["coherent_on", "loopback_air", "loopback_parts", "noise_variance_of", "receive_gain_plan_db"]


def coherent_on(
    place: Surroundings,
    medium: Medium,
    *,
    window: int = 4096,
    pilot_window: int | None = None,
    truncation: float = 0.1,
    min_pilot_snr_db: float = 6.0,
) -> CoherentAir:
    """A coherent air over loopback radios on `medium`, which stands in `place`; see `loopback_parts`.

    Where every start is late by a time of its own, the tones are held through a round. The receiver is told of no offset
    of the oscillators: coherent mode needs a common clock, and without one it must notice.
    """
    held = place.impairments.start_jitter_s > 0.0
    return CoherentAir(
        [LoopbackRadio(medium, k) for k in range(place.devices)],
        place.receiver(medium),
        window=window,
        pilot_window=pilot_window,
        pilot_repeats=place.pilot_repeats,
        rate_sps=place.rate_sps,
        guard_samples=EDGE_SAMPLES if held else place.guard_samples,
        offset_prior_hz=place.offset_hz,
        receive_gain_db=place.receive_gain_db,
        adc_bits=place.adc_bits,
        truncation=truncation,
        min_pilot_snr_db=min_pilot_snr_db,
        hold_samples=place.guard_samples if held else None,
        on_phase=medium.begin,
    )


def loopback_parts(
    devices: int,
    seed: int,
    *,
    window: int = 4096,
    pilot_window: int | None = None,
    truncation: float = 0.1,
    min_pilot_snr_db: float = 6.0,
    **settings: Any,
) -> tuple[Medium, CoherentAir]:
    """The medium (truths for plots and tests) and a coherent air over loopback radios on it, at sample fidelity.

    Args:
        devices: K.
        seed: of every draw of the medium.
        window: samples over which a payload is integrated.
        pilot_window: samples of a pilot; default `window`.
        truncation: a device below this fraction of the mean gain power is left out by `CoherentAir.plan`.
        min_pilot_snr_db: a gain estimate worse than this is not trusted. A pilot is a full-scale tone, so its SNR is
            `snr_db` - 3 dB + 10 log10(pilot_window / window) at the mean gain: below about 15 dB, lengthen the pilots.
        **settings: of `from_settings`. `offset_hz` is also what the estimator is told to expect: 0 is a common clock.
    """
    place = from_settings(devices, seed, window=window, **settings)
    medium = place.medium()
    air = coherent_on(
        place,
        medium,
        window=window,
        pilot_window=pilot_window,
        truncation=truncation,
        min_pilot_snr_db=min_pilot_snr_db,
    )
    return medium, air


def loopback_air(devices: int, seed: int, **settings: Any) -> CoherentAir:
    """The air alone; settings as `loopback_parts`."""
    return loopback_parts(devices, seed, **settings)[1]
