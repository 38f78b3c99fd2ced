"""K transmitters and a receiver that work through slots: everybody named sends, the receiver listens, all are muted.

What the modes other than coherent have in common at sample fidelity: the radios, silence on every exit path, and the
checks every slot must pass before a number is read from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, Received
from radio.cast import Cast, OwnCast, close_all, own_cast
from radio.converter import Converter
from radio.cue import Cue
from radio.errors import InputError
from radio.marker import mark
from radio.modulator import Modulator
from radio.outlier import noise_limit
from radio.pilot import saturated_fraction
from radio.radio import Radio
from radio.tone import DC_GUARD_BINS

T = TypeVar("T")


def sounded_state(round_index: int, sounded: tuple[int, T] | None) -> T:
    """What was found in `sounded`, the last round sounded. InputError if that is not `round_index`."""
    if sounded is None or sounded[0] != round_index:
        last = "none" if sounded is None else str(sounded[0])
        raise InputError(
            f"aggregate of round {round_index}, but the last round sounded is {last}; sound({round_index}) first"
        )
    return sounded[1]


class RadioBank:
    """See the module.

    Args:
        transmitters: K radios, one for each device, or the cast that they are in elsewhere.
        receiver: the radio that listens.
        rate_sps: set on every radio that is here.
        guard_samples: received and thrown away at the beginning of every slot with a transmission; at least the latest
            start.
        receive_gain_db: manual gain, held for the whole run.
        adc_bits: of the receiver's converter; its quantisation is the least noise floor. None for an ideal one.
        max_saturated: fraction of ADC samples at full scale beyond which a slot cannot be trusted.
        on_phase: called with (round, "sound" | "air") before each; a simulated medium selects its draws there.
    """

    def __init__(
        self,
        transmitters: Sequence[Radio] | Cast,
        receiver: Radio,
        *,
        rate_sps: float = 1e6,
        guard_samples: int = 0,
        receive_gain_db: float = 0.0,
        adc_bits: int | None = 12,
        max_saturated: float = 1e-3,
        on_phase: Callable[[int, str], None] | None = None,
    ) -> None:
        radios = transmitters if isinstance(transmitters, Sequence) else []
        self._cast: Cast = OwnCast(transmitters) if isinstance(transmitters, Sequence) else transmitters
        if not self._cast.devices:
            raise InputError("an air needs at least one transmitter; none was given")
        if guard_samples < 0:
            raise InputError(f"guard_samples is {guard_samples}; at least 0 is needed")
        self.devices = self._cast.devices
        self.guard_samples = guard_samples
        self.max_saturated = max_saturated
        self.floor_variance = Converter(adc_bits).noise_variance
        self._radios = radios
        self._receiver = receiver
        self._on_phase = on_phase
        self._closed = False
        self._phase = ""
        for radio in (*radios, receiver):
            radio.mute()
            radio.rate_sps = rate_sps
        receiver.receive_gain_db = receive_gain_db

    def equip(self, modulator: Modulator) -> None:
        """What the radios that are here send at a cue; those elsewhere have their own."""
        if isinstance(self._cast, OwnCast):
            self._cast = OwnCast(self._radios, modulator)

    def load(self, payloads: NDArray[np.float64], plan: AirPlan) -> None:
        """Payloads (K, P) for the cues to come. Raises InputError where the transmitters are elsewhere."""
        self._own.load(payloads, plan)

    def account(self, received: Received, slot_samples: int) -> Received:
        """See `OwnCast.account`; `slot_samples` without guard."""
        return self._own.account(received, self.guard_samples + slot_samples)

    @property
    def _own(self) -> OwnCast:
        return own_cast(self._cast)

    @property
    def present(self) -> NDArray[np.bool_]:
        """See `Cast.present`."""
        return self._cast.present

    @property
    def rate_sps(self) -> float:
        return self._receiver.rate_sps

    @property
    def receive_gain_db(self) -> float:
        return self._receiver.receive_gain_db

    @contextmanager
    def phase(self, round_index: int, name: str) -> Iterator[None]:
        """Muted before and after, whatever happened. Raises InputError on a closed bank."""
        if self._closed:
            raise InputError("this air is closed; open a new one")
        try:
            self.mute()
            self._phase = name
            if self._on_phase is not None:
                self._on_phase(round_index, name)
            yield
        finally:
            self.mute()

    def slot(self, cues: Mapping[int, Cue], length: int) -> NDArray[np.complex128]:
        """(length,) samples while the devices in `cues` send what is asked of them, over and over.

        Nobody: an idle slot, without guard. Who of them is silent because of the payload it has changes nothing that the
        receiver does or writes down.
        """
        senders = sorted(cues)
        if cues:
            self._cast.cue(cues)
        guard = self.guard_samples if senders else 0
        heard = self._receiver.receive(guard + length)
        self.mute()
        together = "pilot" if len(senders) == 1 else "reference"
        label = "idle" if not senders else together if self._phase == "sound" else "payload"
        who: dict[str, Any] = {"device": senders[0]} if len(senders) == 1 else {"active": senders}
        start = self._receiver.clock_samples - heard.size
        mark(self._receiver, label, start, heard.size, guard_samples=guard, **(who if senders else {}))
        return heard[guard:]

    def fault(self, heard: NDArray[np.complex128]) -> str:
        """Why the samples cannot be trusted whatever was sent, or ""."""
        if not np.all(np.isfinite(heard.view(np.float64))):
            return "received samples are not finite"
        saturated = saturated_fraction(heard)
        if saturated > self.max_saturated:
            return f"ADC saturated: {100.0 * saturated:.2g} % of the samples at full scale; lower receive_gain_db"
        return ""

    def noise_floor(self, idle: NDArray[np.complex128]) -> float:
        """E|n|^2 per complex sample from an idle slot: the median bin of its spectrum, so blind to DC and a few lines."""
        spectrum = np.fft.fft(idle)
        bins = (spectrum.real**2 + spectrum.imag**2) / idle.size
        # A bin of white noise is exponentially distributed: its median is ln 2 of its mean.
        return max(float(np.median(bins)) / math.log(2.0), self.floor_variance)

    def idle_fault(self, idle: NDArray[np.complex128], bins: NDArray[np.int64]) -> str:
        """Why an idle slot (N,) says that no number can be trusted, or "": `fault`, or a carrier in the `bins` read later.

        The median in `noise_floor` does not see a carrier, and what lies on a tone's own bin is no residual beside it.
        """
        if fault := self.fault(idle):
            return fault
        bins = bins[(bins > DC_GUARD_BINS) & (bins < idle.size - DC_GUARD_BINS)]
        spectrum = np.fft.fft(idle)[bins]
        power = (spectrum.real**2 + spectrum.imag**2) / idle.size
        largest, floor = int(np.argmax(power)), self.noise_floor(idle)
        if not power[largest] > noise_limit(1, idle.size, bins.size) * floor:
            return ""
        at = float(np.fft.fftfreq(idle.size)[bins[largest]]) * self.rate_sps / 1e3
        above = 10.0 * math.log10(float(power[largest]) / max(floor, 1e-300))
        return f"interference: a carrier on the mode's own frequencies at {at:+.1f} kHz, {above:.1f} dB above the noise"

    def mute(self) -> None:
        """Silence every transmitter, even if one of them fails to obey; then report the first failure."""
        self._cast.mute()

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        if not self._closed:
            self._closed = True
            close_all(self._cast, self._receiver)

    def __enter__(self) -> RadioBank:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
