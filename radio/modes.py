"""An air by the name of its mode, on the simulated medium: at sample fidelity every waveform, converter and impairment;
at symbol fidelity the exact statistics of the same receivers over flat fading and white noise, for studies of many rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from radio.air import Air, Mode
from radio.coherent import COHERENT
from radio.energy import ENERGY
from radio.errors import InputError
from radio.ideal import IDEAL, IdealAir
from radio.impairments import switched
from radio.mapping import MappingName
from radio.radio import Radio
from radio.surroundings import PROFILE_NAMES, Surroundings, from_profile, from_settings
from radio.symbol_coherent import SymbolCoherentAir
from radio.symbol_energy import SymbolEnergyAir
from radio.symbol_tdma import SymbolTdmaAir
from radio.symbol_vote import SymbolVoteAir
from radio.tdma import TDMA
from radio.vote import VOTE

ModeName = Literal["ideal", "tdma", "coherent", "energy", "vote"]
Fidelity = Literal["sample", "symbol"]
EnergyMapping = Literal["signed", "augmented", "affine", "reed"]

MODES: dict[str, Mode] = {mode.name: mode for mode in (IDEAL, TDMA, COHERENT, ENERGY, VOTE)}


def surroundings(
    devices: int, seed: int, *, profile: str, shared_clock: bool, window: int, **settings: Any
) -> Surroundings:
    """Of a named profile, or with "none" of the settings of `from_settings`; a profile takes `rate_sps` alone."""
    if profile not in PROFILE_NAMES:
        raise InputError(f"profile is {profile!r}; allowed: {', '.join(PROFILE_NAMES)}")
    if profile == "none":
        return from_settings(devices, seed, window=window, **settings)
    return from_profile(profile, devices, seed, shared_clock=shared_clock, rate_sps=settings.get("rate_sps", 1e6))


def open_air(
    devices: int,
    seed: int,
    *,
    mode: ModeName,
    fidelity: Fidelity = "sample",
    profile: str = "none",
    shared_clock: bool = False,
    mapping: EnergyMapping = "signed",
    window: int = 4096,
    pilot_window: int | None = None,
    truncation: float = 0.1,
    impairments: Mapping[str, float | bool] | None = None,
    listen: Callable[[Radio], Radio] | None = None,
    **settings: Any,
) -> Air:
    """A loopback air.

    Args:
        devices: K.
        seed: of every draw, and of the public sequences.
        mode: how payloads are added.
        fidelity: see the module. "symbol" has the gains, noise and offsets of profile pluto-bench, but not its converters,
            phase noise, mixers, gain steps and late starts; pluto-room, with echoes and bursts, is refused.
        profile: surroundings by name, see `radio.profiles`; "none": by `settings`.
        shared_clock: one reference for all radios of a profile.
        mapping: of energy mode, see `radio.mapping`; "reed" is "signed" with average channel powers instead of pilots.
        window: samples of the air that a scalar takes (of each device, in tdma).
        pilot_window: samples of a pilot; default `window`.
        truncation: a device below this fraction of the mean gain power is left out.
        impairments: of the radios, by the names of `radio.impairments.Impairments`, beside or in place of the profile's.
        listen: what the receiver is wrapped in, for example a recorder; called at sample fidelity only.
        **settings: of `from_settings`.

    Raises InputError for what is unknown or does not go together.
    """
    for what, value, allowed in (
        ("mode", mode, get_args(ModeName)),
        ("fidelity", fidelity, get_args(Fidelity)),
        ("mapping", mapping, get_args(EnergyMapping)),
    ):
        if value not in allowed:
            raise InputError(f"{what} is {value!r}; allowed: {', '.join(allowed)}")
    if mode == "ideal":
        return IdealAir(devices)
    place = surroundings(devices, seed, profile=profile, shared_clock=shared_clock, window=window, **settings)
    place = replace(place, listen=listen, impairments=switched(place.impairments, impairments or {}))
    pairing: MappingName = "signed" if mapping == "reed" else mapping
    average = mapping == "reed"
    if fidelity == "symbol":
        if place.impairments.burst_rate_hz > 0.0 or place.channel.tap_delays_s:
            raise InputError(
                "radio.fidelity = 'symbol' cannot represent echoes and bursts of interference, which profile pluto-room has; "
                "take radio.fidelity = 'sample', or a profile with flat gains: textbook, pluto-bench"
            )
        symbols = place.symbols()
        if mode == "energy":
            return SymbolEnergyAir(
                symbols, window=window, pilot_window=pilot_window, mapping=pairing, average_power=average
            )
        if mode == "tdma":
            return SymbolTdmaAir(symbols, window=window)
        if mode == "vote":
            return SymbolVoteAir(
                symbols,
                window=window,
                rate_sps=place.rate_sps,
                offset_hz=place.offset_std_hz,
                offset_max_hz=place.offset_max_hz,
            )
        if place.oscillator_hz > 0.0:
            raise InputError(
                f"coherent mode on radios with clocks of their own (up to {place.oscillator_hz:.0f} Hz apart) has no symbol "
                "statistics; give them a common clock (radio.shared_clock = true), take radio.mode = 'energy', or see at "
                "radio.fidelity = 'sample' how it is refused"
            )
        return SymbolCoherentAir(
            symbols,
            window=window,
            pilot_window=pilot_window,
            pilot_repeats=place.pilot_repeats,
            truncation=truncation,
            guard_samples=place.guard_samples,
            offset_hz=place.offset_hz,
            rate_sps=place.rate_sps,
        )
    return place.cell(place.medium()).air(
        mode,
        seed,
        mapping=pairing,
        average_power=average,
        window=window,
        pilot_window=pilot_window,
        truncation=truncation,
    )
