"""The simulated air, sample by sample: K transmitters, one receiver.

For every sample the receiver sees

    y = ADC( g_rx ( sum_k 10^(gain_k/20) h_k e^{2 pi j f_k t} DAC(s_k)(t - tau_k) + interference + n ) )

h_k block fading; f_k residual carrier offset, drawn for each device and round; tau_k start offset, uniform in
[0, timing_samples], real-valued, drawn for each device and round and held through it (a device keeps its time base
from the pilots to the payload; what changes between starts is `jitter_samples`). The DAC's output is delayed as a
band-limited signal: the whole samples by indexing, the fraction by a phase ramp over its spectrum, so that any waveform
is shifted correctly, edges included. Sampling clocks are common: 1 ppm of drift in a window of 4,096 is 0.004 samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading
from radio.streams import stream
from radio.tone import phasor

_EDGE = 32  # samples kept either side of a delayed burst for the ringing of its edges


@dataclass(frozen=True)
class Interferer:
    """Somebody else's carrier: amplitude at the receiver's antenna (DAC full scale = 1), offset from ours."""

    amplitude: float
    offset_hz: float


@dataclass(frozen=True)
class _Emission:
    wave: NDArray[np.complex128]
    cyclic: bool
    start: int  # clock of wave[0]


class Medium:
    """See the module. Draws depend on (seed, round, phase) only; `begin` selects them.

    Args:
        fading: gains of the K devices by round.
        seed: of all draws of this medium.
        noise_variance: E|n|^2 per complex sample at the antenna, in units of (DAC full scale)^2.
        offset_hz: standard deviation of the residual carrier offset.
        timing_samples: largest start offset.
        jitter_samples: standard deviation of an additional start offset drawn at every start; sounding cannot see it.
    """

    def __init__(
        self,
        fading: Fading,
        seed: int,
        *,
        noise_variance: float,
        rate_sps: float = 1e6,
        dac: Converter | None = None,
        adc: Converter | None = None,
        offset_hz: float = 0.0,
        timing_samples: float = 0.0,
        jitter_samples: float = 0.0,
    ) -> None:
        for name, value in (
            ("noise_variance", noise_variance),
            ("offset_hz", offset_hz),
            ("timing_samples", timing_samples),
            ("jitter_samples", jitter_samples),
        ):
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} is {value}; allowed: a finite number of at least 0")
        if not (math.isfinite(rate_sps) and rate_sps > 0.0):
            raise InputError(f"rate_sps is {rate_sps}; a positive rate is needed")
        self.fading = fading
        self.devices = fading.devices
        self.seed = seed
        self.noise_variance = noise_variance
        self.rate_sps = rate_sps
        self.dac = dac if dac is not None else Converter(12)
        self.adc = adc if adc is not None else Converter(12)
        self.offset_hz = offset_hz
        self.timing_samples = timing_samples
        self.jitter_samples = jitter_samples
        self.interferers: list[Interferer] = []
        self.dac_clipped = np.zeros(self.devices, dtype=np.int64)
        self.adc_clipped = 0
        self._emissions: dict[int, _Emission] = {}
        self._gain_db = np.zeros(self.devices)
        self.clock = self._air_clock = 0
        self.round_index, self.phase = -1, ""
        self.begin(0, "sound")

    def begin(self, round_index: int, phase: str) -> None:
        """Enter a phase of a round: "sound", at clock 0, or any other, which follows the round's sounding in time."""
        self.mute_all()
        same_round = self.round_index == round_index
        if phase == "sound" or not same_round:
            self.clock = self._air_clock = 0
        elif self.phase == "sound":
            self._air_clock = self.clock
        else:  # the slot is repeated: it happens at the same instant again
            self.clock = self._air_clock
        if not same_round:
            draws = stream(self.seed, "medium", "round", round_index)
            self.gains = self.fading.gains(round_index)
            self.offsets_hz = self.offset_hz * draws.standard_normal(self.devices)
            self.lags = self.timing_samples * draws.random(self.devices)
        self.round_index, self.phase = round_index, phase
        self._noise = stream(self.seed, "medium", "noise", round_index, phase)
        self._jitter = stream(self.seed, "medium", "jitter", round_index, phase)

    def transmit(self, device: int, samples: NDArray[np.complex128], cyclic: bool, gain_db: float = 0.0) -> None:
        """Device `device` sends `samples` (N,) from the next captured sample on, plus its start offset."""
        analog, clipped = self.dac.convert(samples)
        self.dac_clipped[device] += clipped
        lag = float(self.lags[device])
        if self.jitter_samples > 0.0:
            lag = max(0.0, lag + self.jitter_samples * float(self._jitter.standard_normal()))
        whole, fraction = int(lag), lag - int(lag)
        start = self.clock + whole
        if fraction > 0.0 and cyclic:
            analog = _delay(analog, fraction)
        elif fraction > 0.0:
            padded = np.zeros(_fast_length(analog.size + 2 * _EDGE), dtype=np.complex128)
            padded[_EDGE : _EDGE + analog.size] = analog
            analog = _delay(padded, fraction)
            start -= _EDGE
        self._emissions[device] = _Emission(analog, cyclic, start)
        self._gain_db[device] = gain_db

    def mute(self, device: int) -> None:
        self._emissions.pop(device, None)

    def mute_all(self) -> None:
        self._emissions.clear()

    @property
    def on_air(self) -> tuple[int, ...]:
        """Devices that are sending."""
        return tuple(sorted(self._emissions))

    def capture(self, n: int, gain_db: float) -> NDArray[np.complex128]:
        """(n,) the receiver's next samples at receive gain `gain_db`; the clock moves on by n."""
        if self.noise_variance > 0.0:
            antenna = self._noise.standard_normal(2 * n).view(np.complex128)
            antenna *= math.sqrt(self.noise_variance / 2.0)
        else:
            antenna = np.zeros(n, dtype=np.complex128)
        for device, emission in self._emissions.items():
            first, segment = _heard(emission, self.clock, n)
            if not segment.size:
                continue
            gain = self.gains[device] * 10.0 ** (self._gain_db[device] / 20.0)
            offset = float(self.offsets_hz[device])
            if offset != 0.0:
                segment = segment * phasor(offset / self.rate_sps, segment.size, self.clock + first)
            antenna[first : first + segment.size] += gain * segment
        for other in self.interferers:
            antenna += other.amplitude * phasor(other.offset_hz / self.rate_sps, n, self.clock)
        self.clock += n
        antenna *= 10.0 ** (gain_db / 20.0)
        samples, clipped = self.adc.convert(antenna)
        self.adc_clipped += clipped
        return samples


def _delay(wave: NDArray[np.complex128], fraction: float) -> NDArray[np.complex128]:
    """Circular delay by `fraction` of a sample, exact for a periodic band-limited signal."""
    spectrum = np.fft.fft(wave)
    half = wave.size // 2
    ramp = phasor(-fraction / wave.size, wave.size, -half)  # frequencies -half/N upwards
    spectrum[: wave.size - half] *= ramp[half:]
    spectrum[wave.size - half :] *= ramp[:half]
    return np.asarray(np.fft.ifft(spectrum))


def _fast_length(least: int) -> int:
    """The smallest length of at least `least` that is a multiple of a large power of two: a quick transform."""
    unit = 1 << max(0, least.bit_length() - 5)
    return -(-least // unit) * unit


def _heard(emission: _Emission, clock: int, n: int) -> tuple[int, NDArray[np.complex128]]:
    """What of an emission falls into [clock, clock + n): index of its first sample there, and the samples."""
    wave, begin = emission.wave, clock - emission.start
    first = max(0, -begin)
    if first >= n:
        return 0, wave[:0]
    if emission.cyclic:
        return first, wave[(begin + np.arange(first, n)) % wave.size]
    return first, wave[begin + first : max(0, begin + n)]
