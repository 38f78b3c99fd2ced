"""The simulated air, sample by sample: K transmitters, one receiver.

For every sample the receiver sees

    y = ADC( rx( g_rx ( sum_k g_k h_k(t) e^{j theta_k(t)} tx_k(DAC(s_k))(t - tau_k) + interference + n ) ) )

h_k fading (`Fading`: blocks, or correlated in time within the round as well; several paths are a convolution whose gains
hold for the round). theta_k the carrier against the receiver's (`Oscillators`): a residual offset drawn for each device and
round, and what `Impairments` add. tau_k start offset, uniform in [0, timing_samples], real-valued, drawn for each device
and round and held through it (a device keeps its time base from the pilots to the payload); what changes between starts
is `jitter_samples`, and `Impairments.start_jitter_s`. tx and rx are the mixers (`Mixer`), g_k the stepped transmit gain;
an amplifier that compresses (`Amplifier`) acts on g_k tx_k.
The DAC's output is delayed as a band-limited signal: the whole samples by indexing, the fraction by a phase ramp over
its spectrum, so that any waveform is shifted correctly, edges included. A device whose oscillator is off plays its
samples by that oscillator (`ClockedWave`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.channel import Channel
from radio.converter import Converter
from radio.delay import EDGE, ClockedWave, delay, echo, padded
from radio.errors import InputError
from radio.frontend import GainControl, StepGain, amplifier, mixers
from radio.impairments import NONE, Impairments
from radio.interference import Bursts, Interferer
from radio.oscillator import Oscillators
from radio.streams import stream
from radio.tone import phasor

__all__ = ["Interferer", "Medium"]

_TRACK_TURNS = 1.0 / 128.0  # of the largest Doppler shift between two instants at which the gain is evaluated


@dataclass(frozen=True)
class _Emission:
    source: NDArray[np.complex128]  # as handed over, before the DAC
    wave: NDArray[np.complex128] | ClockedWave  # as sent, delayed by the fraction of a sample
    cyclic: bool
    start: int  # clock of wave[0]
    fraction: float
    quiet: bool  # weighed to nothing: only the carrier leaks


class Medium:
    """See the module. Draws depend on (seed, round, phase) only; `begin` selects them.

    Args:
        fading: gains of the K devices by round.
        seed: of all draws of this medium.
        noise_variance: E|n|^2 per complex sample at the antenna, in units of (DAC full scale)^2.
        rate_sps: sampling rate.
        lo_hz: carrier frequency; ppm are of it.
        dac, adc: converters; default 12 bits.
        offset_hz: standard deviation of the residual carrier offset.
        timing_samples: largest start offset.
        jitter_samples: standard deviation of an additional start offset drawn at every start; sounding cannot see it.
        impairments: of the radios; default none.

    Attributes:
        tuned_hz: how far above `lo_hz` the receiver is tuned. The devices are taken to be tuned with it; interferers stay
            where they are.
    """

    def __init__(
        self,
        fading: Channel,
        seed: int,
        *,
        noise_variance: float,
        rate_sps: float = 1e6,
        lo_hz: float = 915e6,
        dac: Converter | None = None,
        adc: Converter | None = None,
        offset_hz: float = 0.0,
        timing_samples: float = 0.0,
        jitter_samples: float = 0.0,
        impairments: Impairments = NONE,
    ) -> None:
        for name, value in (
            ("noise_variance", noise_variance),
            ("offset_hz", offset_hz),
            ("timing_samples", timing_samples),
            ("jitter_samples", jitter_samples),
        ):
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} is {value}; allowed: a finite number of at least 0")
        for name, value in (("rate_sps", rate_sps), ("lo_hz", lo_hz)):
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{name} is {value}; a positive number is needed")
        self.fading = fading
        self.devices = fading.devices
        self.seed = seed
        self.noise_variance = noise_variance
        self.rate_sps = rate_sps
        self.lo_hz = lo_hz
        self.dac = dac if dac is not None else Converter(12)
        self.adc = adc if adc is not None else Converter(12)
        self.offset_hz = offset_hz
        self.timing_samples = timing_samples
        self.jitter_samples = jitter_samples
        self.impairments = impairments
        self.interferers: list[Interferer] = []
        self.tuned_hz = 0.0
        self.dac_clipped = np.zeros(self.devices, dtype=np.int64)
        self.adc_clipped = 0
        self._oscillators = Oscillators(impairments, self.devices, seed, lo_hz)
        self._transmit_mixers, self._receive_mixer = mixers(impairments, self.devices, seed)
        self._amplifier = amplifier(impairments)
        self._step_gains = [StepGain(impairments, k, seed) for k in range(self.devices)]
        self._delays_s = np.asarray(fading.tap_delays_s, dtype=np.float64)
        self._emissions: dict[int, _Emission] = {}
        self._gain = np.ones(self.devices)
        self._agc, self._air_correction_db = GainControl(impairments, rate_sps), 0.0
        self.clock = self._air_clock = 0
        self.round_index, self.phase = -1, ""
        self.begin(0, "sound")

    @property
    def offsets_hz(self) -> NDArray[np.float64]:
        """(K,) carrier offsets of the round against the receiver's, as it begins."""
        return self._oscillators.offsets_hz

    @property
    def drifts_hz_per_s(self) -> NDArray[np.float64]:
        """(K,) change of those offsets."""
        return self._oscillators.drifts_hz_per_s

    def begin(self, round_index: int, phase: str) -> None:
        """Enter a phase of a round: "sound", at clock 0, or any other, which follows the round's sounding in time.

        Sounding, or a new round, begins in silence; what is on the air stays there through a round's later phases.
        """
        same_round = self.round_index == round_index
        if phase == "sound" or not same_round:
            self.mute_all()
            self.clock = self._air_clock = 0
        elif self.phase == "sound":
            self._air_clock = self.clock
            self._air_correction_db = self._agc.correction_db
        else:  # the slot is repeated: it happens at the same instant again
            self.clock = self._air_clock
            self._agc.correction_db = self._air_correction_db
        if not same_round:
            draws = stream(self.seed, "medium", "round", round_index)
            self._paths = self.fading.paths(round_index)
            self.gains = self._paths.sum(axis=1)
            self._oscillators.begin(round_index, self.offset_hz * draws.standard_normal(self.devices))
            self.lags = self.timing_samples * draws.random(self.devices)
        self.round_index, self.phase = round_index, phase
        self._noise = stream(self.seed, "medium", "noise", round_index, phase)
        self._jitter = stream(self.seed, "medium", "jitter", round_index, phase)
        settings = self.impairments
        if settings.start_jitter_s > 0.0:
            self._starts = stream(self.seed, "medium", "starts", round_index, phase)
        if settings.burst_rate_hz > 0.0:
            draws = stream(self.seed, "medium", "bursts", round_index, phase)
            self._bursts = Bursts(settings, draws, self.clock, self.rate_sps)
        if phase == "sound" or not same_round:
            self._agc = GainControl(settings, self.rate_sps)
            self._air_correction_db = 0.0

    def transmit(self, device: int, samples: NDArray[np.complex128], cyclic: bool, gain_db: float = 0.0) -> None:
        """Device `device` sends `samples` (N,) from the next captured sample on, plus its start offset."""
        lag = float(self.lags[device])
        if self.jitter_samples > 0.0:
            lag = max(0.0, lag + self.jitter_samples * float(self._jitter.standard_normal()))
        if self.impairments.start_jitter_s > 0.0:
            lag += self.impairments.start_jitter_s * self.rate_sps * float(self._starts.random())
        whole, fraction = int(lag), lag - int(lag)
        self._gain[device] = self._step_gains[device].amplitude(gain_db)
        self._send(device, samples, samples, cyclic, self.clock + whole, fraction)

    def weigh(self, device: int, value: complex) -> None:
        """Scale what `device` sends cyclically, before its DAC, without a restart: its start and phase stay.

        Acts from the next captured sample on. Without effect on a device that is silent or sends a burst.
        """
        on = self._emissions.get(device)
        if on is not None and on.cyclic:
            self._send(device, on.source, value * on.source, True, on.start, on.fraction)

    def _send(
        self,
        device: int,
        source: NDArray[np.complex128],
        samples: NDArray[np.complex128],
        cyclic: bool,
        start: int,
        fraction: float,
    ) -> None:
        analog, clipped = self.dac.convert(samples)
        self.dac_clipped[device] += clipped
        analog = self._transmit_mixers[device].mix(analog)
        if self._amplifier is not None:
            analog = self._amplifier.amplify(analog, float(self._gain[device]))
        ratio = 1.0 + float(self._oscillators.ppm[device]) * 1e-6
        begin, echoes = start, self._delays_s * self.rate_sps
        if not cyclic and (fraction > 0.0 or echoes.size or ratio != 1.0):
            analog = padded(analog, math.ceil(echoes.max(initial=0.0)))
            begin -= EDGE
        if echoes.size:
            analog = echo(analog, self._paths[device], echoes)
        wave: NDArray[np.complex128] | ClockedWave = analog
        if ratio != 1.0:
            wave = ClockedWave(analog, cyclic, ratio)
        elif fraction > 0.0:
            wave = delay(analog, fraction)
        self._emissions[device] = _Emission(source, wave, cyclic, begin, fraction, not samples.any())

    def mute(self, device: int) -> None:
        self._emissions.pop(device, None)

    def mute_all(self) -> None:
        self._emissions.clear()

    @property
    def on_air(self) -> tuple[int, ...]:
        """Devices that are sending."""
        return tuple(sorted(self._emissions))

    def wait(self, seconds: float) -> None:
        """Let time pass with nobody listening; what is on the air stays there. No slot before it can be repeated."""
        if not (math.isfinite(seconds) and seconds >= 0.0):
            raise InputError(f"seconds is {seconds}; allowed: a finite number of at least 0")
        self._oscillators.forget()
        self.clock += round(seconds * self.rate_sps)

    def capture(self, n: int, gain_db: float) -> NDArray[np.complex128]:
        """(n,) the receiver's next samples at receive gain `gain_db`; the clock moves on by n."""
        if self.noise_variance > 0.0:
            antenna = self._noise.standard_normal(2 * n).view(np.complex128)
            antenna *= math.sqrt(self.noise_variance / 2.0)
        else:
            antenna = np.zeros(n, dtype=np.complex128)
        moving = self._track(n)
        for device, emission in self._emissions.items():
            drift = float(self.drifts_hz_per_s[device]) / self.lo_hz / self.rate_sps
            first, segment = _heard(emission, self.clock, n, drift)
            if not segment.size or (emission.quiet and self._transmit_mixers[device].leak == 0.0):
                continue
            segment = self._oscillators.turn(device, segment, self.clock + first, self.rate_sps, emission.quiet)
            if self._delays_s.size:  # the convolution holds the gains
                gain: complex | NDArray[np.complex128] = complex(self._gain[device])
            elif moving is not None:
                gain = moving[device, first : first + segment.size] * self._gain[device]
            else:
                gain = self.gains[device] * self._gain[device]
            antenna[first : first + segment.size] += gain * segment
        for other in self.interferers:
            offset_hz = other.offset_hz - self.tuned_hz
            if abs(offset_hz) < 0.5 * self.rate_sps:  # elsewhere, the receiver's filter
                antenna += other.amplitude * phasor(offset_hz / self.rate_sps, n, self.clock)
        if self.impairments.burst_rate_hz > 0.0:
            self._bursts.add(antenna, self.clock)
        self.clock += n
        antenna *= 10.0 ** (gain_db / 20.0)
        if self.impairments.agc:
            antenna = self._agc.level(antenna)
        samples, clipped = self.adc.convert(self._receive_mixer.mix(antenna))
        self.adc_clipped += clipped
        return samples

    def _track(self, n: int) -> NDArray[np.complex128] | None:
        """(K, n) gains through the next n samples, or None where they do not move."""
        fading = self.fading
        if fading.doppler_hz == 0.0 or fading.kind == "static" or self._delays_s.size or not self._emissions:
            return None
        turns = fading.doppler_hz * n / self.rate_sps
        knots = np.linspace(0, n - 1, 2 + math.ceil(turns / _TRACK_TURNS))
        gains = fading.track(self.round_index, (self.clock + knots) / self.rate_sps)
        at = np.arange(n)
        return np.stack([np.interp(at, knots, one.real) + 1j * np.interp(at, knots, one.imag) for one in gains])


def _heard(emission: _Emission, clock: int, n: int, drift: float) -> tuple[int, NDArray[np.complex128]]:
    """What of an emission falls into [clock, clock + n): index of its first sample there, and the samples. An oscillator
    that drifts takes its sampling clock along, by `drift` (relative) each sample."""
    wave, begin = emission.wave, clock - emission.start
    first = max(0, -begin)
    if first >= n:
        return 0, np.zeros(0, dtype=np.complex128)
    if isinstance(wave, ClockedWave):
        elapsed = begin + first - emission.fraction
        ahead = 0.5 * drift * elapsed * (clock + first + emission.start)
        ratio = wave.ratio + drift * (clock + 0.5 * (first + n))
        return first, wave.heard(elapsed * wave.ratio + ahead, n - first, ratio)
    if emission.cyclic:
        return first, wave[(begin + np.arange(first, n)) % wave.size]
    return first, wave[begin + first : max(0, begin + n)]
