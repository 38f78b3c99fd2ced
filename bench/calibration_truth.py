"""Stations with hidden impairments: what is true of them, and how well an efficient estimator could know it.

A station's impairments are drawn from ranges around a bench of Plutos; within them every device draws its own (`radio.frontend`,
`radio.oscillator`). Bounds are Cramer-Rao's for the samples that a step takes for a quantity, with everything else known but
what the step estimates together with it:

    level of a line      v / (2 N) in each real dimension (`calibration.lines`), in dB 20 / ln 10 over the line's magnitude
    carrier offset, of a phase 2 pi (f t + d t^2 / 2) whose phase noise is w a sample (w = v / (2 a^2), and near the carrier
    that of the oscillator's loop as well): 12 w / ((2 pi)^2 N^3 T^2) of f, 180 w / (pi^2 N^5 T^4) of d
    noise variance       v^2 / N
    compression, attenuator   the inverse Fisher information of `calibration.linearity`
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from calibration.linearity import POWER, Curve, amplify, attenuator_error, curve_bound
from calibration.lines import amplitude_bound
from calibration.loopback_rig import LoopbackRig
from calibration.rig import Rig
from radio.converter import Converter
from radio.emulator.server import Plutos
from radio.emulator.unit import REFERENCE_GAIN_DB
from radio.frontend import Amplifier, Mixer, StepGain
from radio.impairments import Impairments
from radio.profiles import PROFILES, Profile
from radio.streams import stream
from radio.surroundings import Surroundings

DB = 20.0 / math.log(10.0)
DEVICES = 2
CODES = 2047.0 / 2048.0  # full scale of the codes over that of a Pluto's converters, either way
LATEST_START_S = 0.002


def hidden_profile(draw: int) -> Profile:
    """Station `draw`: gains, carriers, drifts, mixers, leaks, attenuators, noise and compression of its own."""
    draws = stream(draw, "calibration bench", "station")

    def between(low: float, high: float) -> float:
        return float(draws.uniform(low, high))

    vices = replace(
        PROFILES["pluto-bench"].impairments,
        oscillator_ppm=between(5.0, 24.0),
        drift_ppm_per_s=between(0.005, 0.05),
        start_jitter_s=LATEST_START_S,
        gain_error_db=between(0.02, 0.3),
        iq_gain_db=between(0.1, 0.5),
        iq_phase_deg=between(0.5, 3.0),
        lo_leakage_dbfs=between(-50.0, -35.0),
        dc_offset_dbfs=between(-45.0, -25.0),
        compression_dbfs=between(-9.0, 0.0),
    )
    return replace(
        PROFILES["pluto-bench"],
        path_loss_spread_db=between(0.5, 3.0),
        sample_snr_db=between(20.0, 38.0),
        impairments=vices,
    )


def hidden_surroundings(draw: int) -> Surroundings:
    """Station `draw` as loopback radios."""
    place = hidden_profile(draw)
    channel = place.channel(DEVICES, draw)
    noise = float(channel.mean_power.mean()) / 10.0 ** (place.sample_snr_db / 10.0)
    return Surroundings(channel, noise, draw, impairments=place.impairments)


@dataclass(frozen=True)
class Truth:
    """Attributes:
    impairments: of the station.
    receive_gain: amplitude from antenna to ADC.
    paths: (K,) |h|.
    mixers, receive_mixer, steps: the radios'.
    offset_hz, drift_hz_per_s: of a device's carrier at an instant of the rig's clock.
    antenna_noise: E|n|^2 there.
    drive: DAC output of a digital amplitude 1.
    """

    impairments: Impairments
    receive_gain: float
    paths: np.ndarray
    mixers: list[Mixer]
    receive_mixer: Mixer
    steps: list[StepGain]
    offset_hz: Callable[[int, float], float]
    drift_hz_per_s: Callable[[int, float], float]
    antenna_noise: float
    drive: float

    @property
    def noise_variance(self) -> float:
        """At the ADC, its quantisation included."""
        image = abs(self.receive_mixer.mu) ** 2 + abs(self.receive_mixer.nu) ** 2
        return self.antenna_noise * self.receive_gain**2 * image + Converter(12).noise_variance

    def top(self, k: int) -> float:
        """Amplifier's input, at the station's attenuator setting 0 dB, of a digital amplitude 1."""
        return self.drive * abs(self.mixers[k].mu) * self.steps[k].amplitude(0.0)

    def gain(self, k: int) -> float:
        """Received magnitude of a digital amplitude 1 on the straight line."""
        return float(self.paths[k]) * self.top(k) * abs(self.receive_mixer.mu) * self.receive_gain

    def curvature(self, k: int) -> float:
        assert self.impairments.compression_dbfs is not None
        return float((self.top(k) / Amplifier(self.impairments.compression_dbfs).saturation) ** POWER)

    def level(self, k: int, amplitude: float = 1.0) -> float:
        """Received magnitude of a digital amplitude."""
        return float(amplify(self.gain(k), self.curvature(k), np.array([amplitude]))[0])

    def compression_dbfs(self, k: int) -> float:
        """Relative to full scale on the straight line."""
        assert self.impairments.compression_dbfs is not None
        return self.impairments.compression_dbfs - 20.0 * math.log10(self.top(k))

    def attenuator_error_db(self, k: int, setting_db: float) -> float:
        ratio = self.steps[k].amplitude(setting_db) / self.steps[k].amplitude(0.0)
        return 20.0 * math.log10(ratio) - setting_db

    # Bounds.

    def line_bound(self, n: int) -> float:
        return amplitude_bound(self.noise_variance, n)

    def turning(self, k: int) -> float:
        """Phase noise a sample, white as far as a capture can tell: receiver's noise, and the loop's at low frequencies."""
        settings, rate = self.impairments, 1e6
        decay = math.exp(-2.0 * math.pi * settings.phase_noise_hz / rate)
        loop = math.radians(settings.phase_noise_deg) ** 2 * (1.0 + decay) / (1.0 - decay)
        return self.noise_variance / (2.0 * self.level(k) ** 2) + loop

    def offset_bound_hz(self, k: int, n: int) -> float:
        return math.sqrt(12.0 * self.turning(k) / n**3) * 1e6 / (2.0 * math.pi)

    def drift_bound_hz_per_s(self, k: int, n: int) -> float:
        return math.sqrt(180.0 * self.turning(k) / n**5) * 1e12 / math.pi

    def curve(self, k: int, amplitudes: np.ndarray, n: int) -> Curve:
        """The true curve with the bound of its estimate."""
        errors = np.full(amplitudes.size, self.line_bound(n))
        return Curve(
            self.gain(k), self.curvature(k), curve_bound(self.gain(k), self.curvature(k), amplitudes, errors), 1.0
        )

    def attenuator_bound_db(self, k: int, setting_db: float, amplitudes: np.ndarray, n: int) -> float:
        error = self.attenuator_error_db(k, setting_db)
        received = self.level(k, float(amplitudes[-1]) * 10.0 ** ((setting_db + error) / 20.0))
        curve = self.curve(k, amplitudes, n)
        known = attenuator_error(curve, float(amplitudes[-1]), setting_db, received, self.line_bound(n))
        return math.nan if known is None else known.standard_error


def loopback_truth(rig: LoopbackRig) -> Truth:
    medium = rig.medium
    drift = medium.drifts_hz_per_s
    return Truth(
        medium.impairments,
        10.0 ** (rig.receiver.receive_gain_db / 20.0),
        np.abs(medium.gains),
        medium._transmit_mixers,
        medium._receive_mixer,
        medium._step_gains,
        lambda k, at_s: float(medium.offsets_hz[k] + drift[k] * at_s),
        lambda k, at_s: float(drift[k]),
        medium.noise_variance,
        1.0,
    )


def pluto_truth(rig: Rig, plutos: Plutos) -> Truth:
    """Of a station whose receiver is the last unit; fading is static."""
    air = plutos.units[0].air
    receiver = len(plutos.units) - 1
    lo_hz = air.senders[0].lo_hz

    def offset_hz(k: int, at_s: float) -> float:
        """In the receiver's hertz."""
        ours, theirs = (1.0 + 1e-6 * air.references[unit].ppm(at_s) for unit in (k, receiver))
        return float(lo_hz * (ours / theirs - 1.0))

    return Truth(
        air.profile.impairments,
        CODES * 10.0 ** ((rig.receiver.receive_gain_db - REFERENCE_GAIN_DB) / 20.0),
        np.abs(air.paths(receiver, 0.0).sum(axis=1)),
        air._mixers,
        air.receive_mixers[receiver],
        air._steps,
        offset_hz,
        lambda k, at_s: offset_hz(k, at_s + 0.5) - offset_hz(k, at_s - 0.5),
        air.noise_variance,
        CODES,
    )
