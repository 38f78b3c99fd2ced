"""Named surroundings: what a cabled bench, a room and the textbook do to a signal.

    pluto-bench  ADALM-Plutos, cables and attenuators: static gains, strong signal, free-running clocks, every vice of the
                 hardware. `shared_clock()` gives the same bench with one 40 MHz reference.
    pluto-room   the same radios with antennas in a room: Rician, people walking, short echoes, bursts of a neighbour.
    textbook     Rayleigh block fading and white noise, as in arXiv 2604.12401; ideal radios with 12-bit converters.

Figures are orders of magnitude from data sheets and reports of others, not measurements of a bench.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from radio.errors import InputError
from radio.fading import Fading, FadingKind
from radio.impairments import NONE, Impairments
from radio.streams import stream


@dataclass(frozen=True)
class Profile:
    """Surroundings of K devices, whatever K.

    Attributes:
        name: see the module.
        fading, rician_k_db, coherence_rounds: see `Fading`.
        doppler_hz, round_s: Jakes correlation in time instead of blocks; see `Fading`.
        tap_delays_s, tap_powers_db: echoes; see `Fading`.
        path_loss_spread_db: standard deviation among devices of the path loss, drawn once.
        sample_snr_db: power of a full-scale tone at mean gain over noise, in one complex sample. Integration over
            M samples makes 10 log10(2 M) more of it for a received scalar.
        bits: of all converters.
        impairments: of the radios.
    """

    name: str
    fading: FadingKind
    sample_snr_db: float
    rician_k_db: float = 6.0
    coherence_rounds: int = 1
    doppler_hz: float = 0.0
    round_s: float = 0.0
    tap_delays_s: tuple[float, ...] = ()
    tap_powers_db: tuple[float, ...] = ()
    path_loss_spread_db: float = 0.0
    bits: int | None = 12
    impairments: Impairments = NONE

    def shared_clock(self) -> Profile:
        """The same surroundings with one reference clock for all radios."""
        return replace(self, impairments=replace(self.impairments, shared_clock=True))

    def channel(self, devices: int, seed: int) -> Fading:
        """Gains of `devices` devices by round."""
        loss = self.path_loss_spread_db * stream(seed, "profile", "path loss").standard_normal(devices)
        return Fading(
            devices,
            seed,
            self.fading,
            self.rician_k_db,
            [float(x) for x in loss],
            self.coherence_rounds,
            doppler_hz=self.doppler_hz,
            round_s=self.round_s,
            tap_delays_s=self.tap_delays_s,
            tap_powers_db=self.tap_powers_db,
        )


_PLUTO = Impairments(
    oscillator_ppm=20.0,
    drift_ppm_per_s=0.02,
    phase_noise_deg=0.3,
    phase_noise_hz=5e4,
    start_jitter_s=0.05,
    gain_step_db=0.25,
    gain_error_db=0.05,
    iq_gain_db=0.05,
    iq_phase_deg=0.3,
    lo_leakage_dbfs=-50.0,
    dc_offset_dbfs=-40.0,
)

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("pluto-bench", "static", sample_snr_db=30.0, path_loss_spread_db=1.0, impairments=_PLUTO),
        Profile(
            "pluto-room",
            "rician",
            sample_snr_db=15.0,
            rician_k_db=6.0,
            doppler_hz=0.5,
            round_s=0.5,
            tap_delays_s=(0.0, 30e-9, 80e-9, 150e-9),
            tap_powers_db=(0.0, -4.0, -9.0, -15.0),
            path_loss_spread_db=3.0,
            impairments=replace(_PLUTO, burst_rate_hz=2.0, burst_s=2e-4, burst_amplitude=0.5),
        ),
        Profile("textbook", "rayleigh", sample_snr_db=-9.0),
    )
}


def profile(name: str) -> Profile:
    """The profile of that name, or InputError with those there are."""
    if name not in PROFILES:
        raise InputError(f"profile is {name!r}; allowed: {', '.join(PROFILES)}")
    return PROFILES[name]
