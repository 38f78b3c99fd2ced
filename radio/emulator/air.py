"""The air that all virtual units share: who sends, and what one of them hears.

The parts are the loopback's (`radio.medium`): fading, mixers, stepped gains, delays and sampling clocks, converters,
bursts, from the same profiles. What differs is what a bench differs in: there are no rounds, every unit may receive, each
has a carrier, a rate and gains of its own, and time is one clock for all that runs on without end. For every sample,

    y = sum_k g_k h_kj(t) e^{j theta_kj(t)} tx_k(x_k)(t - tau_k) + interference + n

at the antenna of unit j, in units in which a full-scale tone sent at 0 dB over a path of gain 1 has amplitude 1. A
transmitter outside the receiver's band is not heard, one partly in it by what falls inside (a brick wall).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from radio.delay import EDGE, padded
from radio.emulator.noise import cheap_stream, white_noise
from radio.emulator.playback import Playback
from radio.emulator.reference import Reference
from radio.emulator.wave import Tones, Wave, converted
from radio.fading import Fading
from radio.frontend import Mixer, StepGain, amplifier, mixers
from radio.interference import Bursts
from radio.profiles import Profile
from radio.streams import stream, stream_seed
from radio.tone import phasor

CHUNK = 8192  # samples for which a carrier's frequency is held
BLOCK_S = 1.0  # block fading: the gains are drawn anew this often
COUPLING_DB = -40.0  # of a unit's transmitter into its own receiver
_TRACK_TURNS = 1.0 / 128.0  # of the largest Doppler shift between two instants at which the gain is evaluated
_INAUDIBLE = 1e-7
_THETA = 1 << 18  # samples of phase noise that are kept


@dataclass(frozen=True)
class Sender:
    """One unit's transmitter as it is set. `phase` in cycles, of its carrier since it was last tuned."""

    unit: int
    lo_hz: float
    rate_sps: float
    bandwidth_hz: float
    gain_db: float
    phase: float
    tuning: float
    on: bool
    waves: tuple[Wave, ...] = ()
    tones: Tones | None = None


@dataclass(frozen=True)
class Listener:
    """One unit's receiver as it is tuned; `phase` as in `Sender`."""

    unit: int
    lo_hz: float
    rate_sps: float
    bandwidth_hz: float
    phase: float
    tuning: float


@dataclass(frozen=True)
class _Rendering:
    key: tuple[object, ...]
    playback: Playback
    lead: int  # silence before the first sample
    stretch: float  # samples of it for one of the sender's


class Air:
    """See the module.

    Args:
        profile: surroundings; `Profile.shared_clock` gives one reference to all.
        units: how many there are.
        seed: of every draw.
    """

    def __init__(self, profile: Profile, units: int, seed: int) -> None:
        self.profile, self.units, self.seed = profile, units, seed
        settings = profile.impairments
        self.references = [Reference(settings, seed, unit) for unit in range(units)]
        self.senders: Mapping[int, Sender] = {}
        self._links = [_link(profile, units, stream_seed(seed, "emulator", "links", unit)) for unit in range(units)]
        self._step_s = BLOCK_S
        if profile.doppler_hz > 0.0:
            self._step_s = _TRACK_TURNS / profile.doppler_hz
        self._mixers: list[Mixer] = []
        self.receive_mixers: list[Mixer] = []
        for unit in range(units):
            transmit, receive = mixers(settings, 1, stream_seed(seed, "emulator", "mixers", unit))
            self._mixers += transmit
            self.receive_mixers.append(receive)
        self._amplifier = amplifier(settings)
        self._steps = [StepGain(settings, unit, seed) for unit in range(units)]
        power = self._links[0].mean_power.mean()
        self.noise_variance = float(power) / 10.0 ** (profile.sample_snr_db / 10.0)
        self._bursts: dict[int, tuple[float, Bursts]] = {}
        self._taps_s = np.asarray(profile.tap_delays_s, dtype=np.float64)
        self._paths: dict[int, tuple[int, NDArray[np.complex128]]] = {}
        self._constants: dict[tuple[int, int], tuple[Listener, Sender, float, complex]] = {}  # carriers alone
        self._theta: tuple[float, NDArray[np.float32]] | None = None

    def put(self, sender: Sender) -> None:
        """From now on, this is what its unit sends. Snapshots of `senders` taken before stay as they are."""
        self.senders = {**self.senders, sender.unit: sender}

    def paths(self, receiver: int, seconds: float) -> NDArray[np.complex128]:
        """(units, L) gains of the paths to a receiver."""
        index = 0 if self.profile.fading == "static" else math.floor(seconds / self._step_s)
        known = self._paths.get(receiver)
        if known is None or known[0] != index:
            known = (index, self._links[receiver].paths(index))
            self._paths[receiver] = known
        return known[1]

    def period(self, listener: Listener, seconds: float) -> float:
        """Seconds from one of its samples to the next."""
        ppm = self.references[listener.unit].ppm(seconds)
        return 1.0 / (listener.rate_sps * listener.tuning * (1.0 + 1e-6 * ppm))

    def hear(
        self, listener: Listener, senders: Mapping[int, Sender], seconds: float, n: int, block: int
    ) -> NDArray[np.complex128]:
        """(n,) at the antenna of a receiver, from `seconds` on. `block` numbers its captures and selects the noise."""
        draws = cheap_stream(self.seed, "emulator", "noise", listener.unit, block)
        antenna = white_noise(draws, n, self.noise_variance)
        constant = sum(self._add(antenna, listener, sender, seconds, draws) for sender in senders.values() if sender.on)
        if constant:
            antenna += constant
        if self.profile.impairments.burst_rate_hz > 0.0:
            self._interfere(antenna, listener, seconds)
        return antenna

    def _interfere(self, antenna: NDArray[np.complex128], listener: Listener, seconds: float) -> None:
        clock = round(seconds * listener.rate_sps)
        known = self._bursts.get(listener.unit)
        if known is None or known[0] != listener.rate_sps:
            draws = stream(self.seed, "emulator", "bursts", listener.unit, clock)
            known = (listener.rate_sps, Bursts(self.profile.impairments, draws, clock, listener.rate_sps))
            self._bursts[listener.unit] = known
        known[1].add(antenna, clock)

    def _add(
        self,
        antenna: NDArray[np.complex128],
        listener: Listener,
        sender: Sender,
        seconds: float,
        draws: np.random.Generator,
    ) -> complex:
        """Add what `sender` contributes, but what is the same in every sample: that is returned."""
        known = self._constants.get((listener.unit, sender.unit))
        if known is not None and known[1] is sender and known[0] == listener and self._still(known[2], seconds):
            return known[3]
        own = sender.unit == listener.unit
        offset_hz = sender.lo_hz - listener.lo_hz
        if abs(offset_hz) >= (listener.bandwidth_hz + sender.bandwidth_hz) / 2.0:
            return 0j
        amplitude = self._drive(sender)
        paths = (
            np.array([10.0 ** (COUPLING_DB / 20.0) + 0j]) if own else self.paths(listener.unit, seconds)[sender.unit]
        )
        leak = self._mixers[sender.unit].leak if 2.0 * abs(offset_hz) < self._band(listener) else 0j
        gain = complex(amplitude * paths[0]) if paths.size == 1 else complex(amplitude)
        flat = 1.0 + 0j if paths.size == 1 else complex(paths.sum())  # waves come with their echoes
        leak *= flat
        tones = sender.tones if sender.tones is not None and not sender.tones.silent else None
        waves = [wave for wave in sender.waves if not wave.silent]
        loudest = max(abs(leak), 1.0 if waves or tones else 0.0)
        path = abs(complex(paths[0])) if paths.size == 1 else float(np.abs(paths).sum())
        if amplitude * path * loudest < _INAUDIBLE:
            return 0j
        period = self.period(listener, seconds)
        if not waves and tones is None:
            first, last = (self._cycles(sender, listener, t) for t in (seconds, seconds + antenna.size * period))
            if first == last:
                constant = gain * leak * complex(np.exp(2j * math.pi * math.fmod(first, 1.0)))
                self._constants[listener.unit, sender.unit] = (listener, sender, seconds, constant)
                return constant
        renderings = [self._rendering(wave, sender, listener) for wave in waves]
        theta = self._phase_noise(listener.rate_sps) if not own else np.zeros(0, dtype=np.float32)
        places = int(draws.integers(_THETA)) if theta.size else 0
        for begin in range(0, antenna.size, CHUNK):
            n = min(CHUNK, antenna.size - begin)
            here = seconds + begin * period
            heard: list[NDArray[np.complex128]] = []
            for wave, rendering in zip(waves, renderings, strict=True):
                segment = self._played(wave, rendering, sender, listener, paths, here, n)
                if segment is not None:
                    heard.append(segment)
            if tones is not None:
                on = self._elapsed(sender, tones.start_s, here)
                codes = tones.codes(np.linspace(on, on + n * period * sender.tuning, n, endpoint=False))
                heard.append(flat * self._mixed(sender, converted(codes)))
            first, last = (self._cycles(sender, listener, t) for t in (here, here + n * period))
            turn = gain * complex(np.exp(2j * math.pi * math.fmod(first, 1.0)))
            if heard:
                total = heard[0] if len(heard) == 1 else np.sum(heard, axis=0)
                arriving = turn * (total + leak if leak else total)
                if theta.size:
                    place = (begin + places) % _THETA
                    arriving = self._noisy(arriving, theta[place : place + n])
            elif leak:
                arriving = np.full(n, turn * leak)
            else:
                continue
            if first != last:
                arriving *= phasor((last - first) / n, n)
            antenna[begin : begin + n] += arriving
        return 0j

    def _still(self, one_s: float, other_s: float) -> bool:
        """Whether the paths are the same at two instants."""
        return self.profile.fading == "static" or one_s // self._step_s == other_s // self._step_s

    def _band(self, listener: Listener) -> float:
        return min(listener.bandwidth_hz, listener.rate_sps)

    def _mixed(self, sender: Sender, analog: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """What the mixer and the amplifier make of it, before the attenuator; what leaks through the mixer is there all
        the time and added apart."""
        mixer = self._mixers[sender.unit]
        mixed = mixer.mix(analog)
        if self._amplifier is not None:
            mixed = self._amplifier.amplify(mixed, self._drive(sender))
        return mixed - mixer.leak if mixer.leak != 0.0 else mixed

    def _drive(self, sender: Sender) -> float:
        """Amplitude that the attenuator lets through."""
        return self._steps[sender.unit].amplitude(sender.gain_db)

    def _elapsed(self, sender: Sender, start_s: float, seconds: float) -> float:
        """Seconds on the sender's clock between two instants."""
        lead = self.references[sender.unit].lead
        return ((seconds - start_s) + (lead(seconds) - lead(start_s))) * sender.tuning

    def _cycles(self, sender: Sender, listener: Listener, seconds: float) -> float:
        """Phase of the sender's carrier against the receiver's."""

        def ahead(side: Sender | Listener) -> float:
            lead = self.references[side.unit].lead(seconds)
            return side.lo_hz * (seconds * (side.tuning - 1.0) + lead * side.tuning) + side.phase

        return (sender.lo_hz - listener.lo_hz) * seconds + ahead(sender) - ahead(listener)

    def _noisy(self, heard: NDArray[np.complex128], theta: NDArray[np.float32]) -> NDArray[np.complex128]:
        """`heard` (n,) on a carrier with phase noise `theta` (n,), small angles."""
        turn = np.empty(heard.size, dtype=np.complex128)
        turn.real, turn.imag = 1.0, theta
        return np.asarray(np.multiply(heard, turn, out=turn))

    def _phase_noise(self, rate_sps: float) -> NDArray[np.float32]:
        """A stretch of phase noise: flat up to the loop's corner, 20 dB a decade beyond.

        Made once for a rate. Captures take it up at random places: it forgets itself within microseconds, and one draw
        for each sample and sender would cost more than all the rest.
        """
        settings = self.profile.impairments
        if settings.phase_noise_deg == 0.0:
            return np.zeros(0, dtype=np.float32)
        if self._theta is None or self._theta[0] != rate_sps:
            decay = math.exp(-2.0 * math.pi * settings.phase_noise_hz / rate_sps)
            scale = math.radians(settings.phase_noise_deg) * math.sqrt(1.0 - decay**2)
            steps = fft.rfft(scale * stream(self.seed, "emulator", "phase noise").standard_normal(_THETA))
            # y[n] = decay y[n - 1] + x[n], around a circle: it has no seam where it begins anew
            loop = 1.0 - decay * np.exp(-2j * np.pi * np.arange(steps.size) / _THETA)
            theta = fft.irfft(steps / loop, _THETA).astype(np.float32)
            self._theta = (rate_sps, np.concatenate([theta, theta[:CHUNK]]))
        return self._theta[1]

    def _played(
        self,
        wave: Wave,
        rendering: _Rendering,
        sender: Sender,
        listener: Listener,
        paths: NDArray[np.complex128],
        seconds: float,
        n: int,
    ) -> NDArray[np.complex128] | None:
        """(n,) what arrives of a wave: over one path before its gain, over several their sum; None where it is silent.

        May be a view of what is kept: not to be written to.
        """
        position = self._elapsed(sender, wave.start_s, seconds) * sender.rate_sps
        wait = math.ceil(-position * listener.rate_sps / sender.rate_sps - 1e-4)
        if wait >= n:
            return None
        position = round((position + rendering.lead) * rendering.stretch, 4)
        latest = float(self._taps_s.max(initial=0.0)) * listener.rate_sps
        if not wave.cyclic and position >= rendering.playback.size + latest:
            return None
        ours = sender.tuning * (1.0 + 1e-6 * self.references[sender.unit].ppm(seconds))
        ratio = sender.rate_sps * ours * self.period(listener, seconds) * rendering.stretch
        if paths.size == 1:
            segment = rendering.playback.heard(position, ratio, n)
            if wave.cyclic and wait > 0:
                segment = segment.copy()
        else:
            segment = np.zeros(n, dtype=np.complex128)
            for path, delay_s in zip(paths, self._taps_s, strict=True):
                late = delay_s * sender.rate_sps * rendering.stretch
                segment += path * rendering.playback.heard(position - late, ratio, n)
        if wave.cyclic and wait > 0:
            segment[:wait] = 0.0
        return segment

    def _rendering(self, wave: Wave, sender: Sender, listener: Listener) -> _Rendering:
        """The wave as this receiver would sample it: mixer, band, rate. Kept until something of that changes."""
        tuned = (sender.lo_hz, sender.rate_sps, sender.bandwidth_hz)
        heard = (listener.lo_hz, listener.rate_sps, listener.bandwidth_hz)
        key = (tuned, heard, None if self._amplifier is None else sender.gain_db)
        known = wave.renderings.get(listener.unit)
        if known is not None and known.key == key:
            return known
        analog, lead = self._mixed(sender, wave.analog), 0
        if not wave.cyclic:
            analog, lead = padded(analog), EDGE
        analog = _in_band(analog, sender, listener, self._band(listener))
        size = max(1, round(analog.size * listener.rate_sps / sender.rate_sps))
        stretch = size / analog.size
        if size != analog.size:
            from scipy.signal import resample  # takes a second to import, and is seldom needed

            analog = resample(analog, size)
        rendering = _Rendering(key, Playback(analog, wave.cyclic), lead, stretch)
        wave.renderings[listener.unit] = rendering
        return rendering


def _link(profile: Profile, units: int, seed: int) -> Fading:
    """Gains to one receiver. Time is handed to `Fading` as a round index: a block's, or a step's of a moving channel."""
    step = _TRACK_TURNS / profile.doppler_hz if profile.doppler_hz > 0.0 else profile.round_s
    return replace(profile, round_s=step, coherence_rounds=1).channel(units, seed)


def _in_band(
    analog: NDArray[np.complex128], sender: Sender, listener: Listener, band_hz: float
) -> NDArray[np.complex128]:
    """What of a wave passes the sender's filter and falls into the receiver's band."""
    offset_hz = sender.lo_hz - listener.lo_hz
    if offset_hz == 0.0 and min(sender.bandwidth_hz, band_hz) >= sender.rate_sps:
        return analog
    lines = np.fft.fftfreq(analog.size, 1.0 / sender.rate_sps)
    kept = (2.0 * np.abs(lines) <= sender.bandwidth_hz) & (2.0 * np.abs(lines + offset_hz) <= band_hz)
    return np.asarray(fft.ifft(np.where(kept, fft.fft(analog), 0.0)))
