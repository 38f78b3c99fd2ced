"""A coherent air on the simulated medium, from plain settings."""

from __future__ import annotations

from typing import Any

from radio.coherent import CoherentAir
from radio.medium import Medium
from radio.surroundings import from_settings, noise_variance_of, receive_gain_plan_db

__all__ = ["loopback_air", "loopback_parts", "noise_variance_of", "receive_gain_plan_db"]


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
    air = place.cell(medium).coherent(
        window=window,
        pilot_window=pilot_window,
        truncation=truncation,
        min_pilot_snr_db=min_pilot_snr_db,
    )
    return medium, air


def loopback_air(devices: int, seed: int, **settings: Any) -> CoherentAir:
    """The air alone; settings as `loopback_parts`."""
    return loopback_parts(devices, seed, **settings)[1]
