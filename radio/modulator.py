"""The device's half of every mode: from cues and its own payload to samples.

Pure: what is sent follows from the settings that all devices share, the device's number, the cue and, for a payload, from
what this device alone knows. The receiver's halves are `radio.coherent`, `radio.energy`, `radio.tdma` and `radio.vote`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radio.cue import Cue
from radio.errors import InputError
from radio.mapping import Mapping, MappingName
from radio.sequence import random_phases
from radio.streams import stream
from radio.three_tone import PAYLOAD, PILOT, ThreeTone
from radio.tone import Tone, phasor


@dataclass(frozen=True)
class Payload:
    """What one device may send in an air slot, and how loud.

    Attributes:
        values: (P,) x_k, payload units.
        precoder, peak: its row of `AirPlan.precoders`, and `AirPlan.payload_peak`.
    """

    values: NDArray[np.float64]
    precoder: complex
    peak: float


@dataclass(frozen=True)
class Emission:
    """What a cue asks for.

    Attributes:
        samples: (N,) one period or burst; where a tone is held, the (1,) weight on it.
        power: its mean, full-scale tone = 1.
        limited: whether the payload asked for more than full scale.
    """

    samples: NDArray[np.complex128]
    power: float
    limited: bool = False


class Modulator(Protocol):
    """One mode's waveforms.

    Attributes:
        held: the tone that runs all the time, where cues are weights on it; else None.
        cyclic: what is sent repeats until there is another cue.
    """

    @property
    def held(self) -> Tone | None: ...

    @property
    def cyclic(self) -> bool: ...

    def modulate(self, device: int, cue: Cue, payload: Payload | None) -> Emission:
        """Raises InputError for a cue that the mode does not have, and for a payload's without a payload."""
        ...


def _foreign(cue: Cue, mode: str) -> InputError:
    return InputError(f"{mode} mode has no cue {cue.kind!r} here; allowed: what `radio.cue` lists for it")


def _own(payload: Payload | None, cue: Cue) -> Payload:
    if payload is None or not 0 <= cue.scalar < payload.values.size:
        known = 0 if payload is None else payload.values.size
        raise InputError(
            f"a cue for scalar {cue.scalar} of a payload of {known}; the device has released no such number"
        )
    return payload


@lru_cache(maxsize=8)
def _sequences(seed: int, devices: int, length: int, *names: str | int) -> NDArray[np.complex128]:
    """`random_phases`, of which every device of one process wants its row."""
    drawn = random_phases(seed, devices, length, *names)
    drawn.flags.writeable = False
    return drawn


@dataclass(frozen=True)
class ToneModulator:
    """Coherent mode. `hold`: weights on a tone that runs; else bursts of `guard_samples` and a window.

    Attributes:
        tone: of a payload; pilots have its frequency.
        pilot_window: samples.
        guard_samples: sent before either window.
    """

    tone: Tone
    hold: bool = True
    pilot_window: int = 0
    guard_samples: int = 0
    cyclic = False

    @property
    def held(self) -> Tone | None:
        return self.tone if self.hold else None

    def modulate(self, device: int, cue: Cue, payload: Payload | None) -> Emission:
        if cue.kind == "pilot":
            return self._emission(1.0, False, self.pilot_window, cue)
        if cue.kind not in ("payload", "reference"):
            raise _foreign(cue, "coherent")
        if cue.kind == "payload":
            own = _own(payload, cue)
            value = own.values[cue.scalar]
        else:
            own = _own(payload, Cue("reference"))
            value = np.float64(cue.level * own.peak)
        wanted = np.complex128(own.precoder) * value
        # Limiting the complex amplitude keeps the waveform a tone; limiting rails would add harmonics.
        sent = wanted / np.maximum(1.0, np.abs(wanted) / (1.0 + 1e-12))
        return self._emission(sent, bool(np.abs(wanted) > 1.0 + 1e-12), self.tone.window, cue)

    def _emission(self, weight: complex, limited: bool, window: int, cue: Cue) -> Emission:
        power = float(np.abs(weight) ** 2)
        if self.hold:
            return Emission(np.array([weight], dtype=np.complex128), power, limited)
        length = self.guard_samples + window
        wave = weight * self.tone.samples(length)
        if cue.turn != 0.0:
            wave *= phasor(cue.turn, length, cue.elapsed)
        return Emission(wave, power, limited)


@dataclass(frozen=True)
class EnergyModulator:
    """Energy mode: random-phase sequences, a payload's codewords their powers.

    Attributes:
        seed: public, of the sequences.
        devices: K.
        window: samples of a codeword.
        pilot_window: samples of a pilot.
        mapping: from payloads to codewords.
    """

    seed: int
    devices: int
    window: int
    pilot_window: int
    mapping: Mapping
    held = None
    cyclic = True

    def modulate(self, device: int, cue: Cue, payload: Payload | None) -> Emission:
        if cue.kind in ("pilot", "together"):
            phases = _sequences(self.seed, self.devices, self.pilot_window, cue.kind, cue.round_index)[device]
            return Emission(cue.level * phases, cue.level**2)
        if cue.kind != "payload":
            raise _foreign(cue, "energy")
        own = _own(payload, cue)
        code = self.mapping.encode(own.values[cue.scalar : cue.scalar + 1] / own.peak)[0]
        if not 0 <= cue.codeword < code.size:
            raise InputError(f"a cue for codeword {cue.codeword}; mapping {self.mapping.name} has {code.size}")
        wanted = float(np.abs(own.precoder) * np.sqrt(code[cue.codeword]))
        amplitude = min(wanted, 1.0)
        names = ("payload", cue.round_index, cue.scalar, cue.codeword)
        phases = _sequences(self.seed, self.devices, self.window, *names)[device]
        return Emission(amplitude * phases, amplitude**2, wanted > 1.0 + 1e-12)


@dataclass(frozen=True)
class TdmaModulator:
    """One device at a time: three tones, of which one carries the payload."""

    waveform: ThreeTone
    held = None
    cyclic = True

    def modulate(self, device: int, cue: Cue, payload: Payload | None) -> Emission:
        value, amplitude, limited = 0.0, 1.0, False
        if cue.kind == "payload":
            own = _own(payload, cue)
            wanted = float(own.values[cue.scalar] / own.peak)
            value, limited = min(max(wanted, -1.0), 1.0), abs(wanted) > 1.0 + 1e-12
            amplitude = three_tone_amplitude(own.precoder, own.peak)
        elif cue.kind != "pilot":
            raise _foreign(cue, "tdma")
        return Emission(self.waveform.wave(value, amplitude), three_tone_power(value, amplitude), limited)


def three_tone_amplitude(precoder: complex, peak: float) -> float:
    """Of the whole waveform, DAC full scale = 1."""
    return float(np.minimum(np.abs(precoder) * peak, 1.0))


def three_tone_power(value: float, amplitude: float) -> float:
    """Mean power of the waveform with the payload `value` in [-1, 1]."""
    return (2.0 * PILOT**2 + (PAYLOAD * value) ** 2) * amplitude**2


def signs(payloads: NDArray[np.float64]) -> NDArray[np.float64]:
    """+1 for values of at least 0, -1 below."""
    return np.where(payloads >= 0.0, 1.0, -1.0)


def vote_phases(seed: int, round_index: int, devices: int, count: int) -> NDArray[np.float64]:
    """(K, P) public phases of a round's votes; without them two devices of opposite phase would cancel for ever."""
    return 2.0 * np.pi * stream(seed, "vote phases", round_index).random((devices, count))


def vote_bin(vote: float, window: int) -> int:
    """Both above DC, so that neither is the image of the other; odd, which whitens quantisation."""
    return round(window * (0.15 if vote > 0.0 else 0.33)) | 1


@dataclass(frozen=True)
class VoteModulator:
    """Majority vote: a tone at one of two frequencies, by the sign of the value."""

    seed: int
    devices: int
    window: int
    held = None
    cyclic = True

    def modulate(self, device: int, cue: Cue, payload: Payload | None) -> Emission:
        if cue.kind != "payload":
            raise _foreign(cue, "vote")
        own = _own(payload, cue)
        phases = vote_phases(self.seed, cue.round_index, self.devices, own.values.size)
        turn = np.exp(1j * phases)[device, cue.scalar]
        vote = float(signs(own.values[cue.scalar : cue.scalar + 1])[0])
        amplitude = float(np.minimum(np.abs(own.precoder), 1.0))
        wave = amplitude * turn * phasor(vote_bin(vote, self.window) / self.window, self.window)
        return Emission(wave, amplitude**2)


def modulator_of(
    mode: str, devices: int, seed: int, *, window: int, pilot_window: int | None = None, mapping: MappingName = "signed"
) -> Modulator:
    """What the air of these settings (`radio.cell.Cell.air`) has its devices send, where tones are held."""
    if mode == "coherent":
        return ToneModulator(Tone(window))
    if mode == "tdma":
        return TdmaModulator(ThreeTone(window))
    if mode == "vote":
        return VoteModulator(seed, devices, window)
    if mode != "energy":
        raise InputError(f"radio.mode = {mode!r} has no radios; allowed: coherent, energy, tdma, vote")
    chosen = Mapping(mapping)
    pilots = window if pilot_window is None else pilot_window
    return EnergyModulator(seed, devices, window // chosen.slots, pilots, chosen)
