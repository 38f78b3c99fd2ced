"""One device's transmitter: its radio, its modulator, and the payload that it alone knows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan
from radio.cue import Cue
from radio.errors import InputError
from radio.modulator import Modulator, Payload
from radio.radio import Radio, WeighableRadio


def payload_of(values: NDArray[np.float64], plan: AirPlan, device: int) -> Payload:
    """What `device` sends of its `values` (P,) under `plan`."""
    return Payload(values, complex(plan.precoders[device]), plan.payload_peak)


class Transmitter:
    """See the module.

    Args:
        radio: open; the caller's to close.
        device: its number among the K.
        modulator: of the mode.
        alike: a payload that is silence is handed over as samples like any other, so that how long it takes tells nothing.

    Attributes:
        powers: mean power of every payload slot since `load`, full-scale tone = 1.
        limited: how many of them asked for more than full scale.

    Raises InputError where a tone is to be held by a radio that cannot scale a running transmission.
    """

    def __init__(self, radio: Radio, device: int, modulator: Modulator, *, alike: bool = False) -> None:
        self._radio, self._device, self._modulator, self._alike = radio, device, modulator, alike
        self._held: WeighableRadio | None = None
        if modulator.held is not None:
            if not isinstance(radio, WeighableRadio):
                raise InputError(
                    "hold is set, but a radio cannot scale a running transmission (`weigh`); unset hold and trigger every "
                    "start"
                )
            self._held = radio
        self.load(None)

    def load(self, payload: Payload | None) -> None:
        """What the cues of the coming slot speak of; None: there is none, and they are refused."""
        self._payload = payload
        self.powers: list[float] = []
        self.limited = 0

    @property
    def holding(self) -> bool:
        """Whether the tone that is held runs."""
        return self._held is not None and self._held.holding

    def obey(self, cue: Cue) -> bool:
        """Returns when it is done; whether a tone was started. Raises InputError for a cue that cannot be carried out."""
        if cue.kind in ("hold", "start"):
            return self._start(anew=cue.kind == "start")
        if cue.kind == "rest" and self._held is not None:
            self._held.weigh(0.0)
            return False
        if cue.kind in ("rest", "mute"):
            self.mute()
            return False
        emission = self._modulator.modulate(self._device, cue, self._payload)
        if cue.kind == "payload":
            self.powers.append(emission.power)
            self.limited += emission.limited
        if self._held is not None:
            self._held.weigh(complex(emission.samples[0]))
        elif emission.power > 0.0 or self._alike or not self._modulator.cyclic:
            self._radio.transmit(emission.samples, cyclic=self._modulator.cyclic)
        return False

    def _start(self, anew: bool) -> bool:
        tone = self._modulator.held
        if tone is None or self._held is None:
            raise InputError("a cue to hold a tone, in a mode that holds none")
        if not anew and self._held.holding:
            return False
        self._held.transmit(tone.samples(tone.window), cyclic=True)
        self._held.weigh(0.0)
        return True

    def mute(self) -> None:
        """Nothing is sent; a tone that was held does not run any more."""
        self._radio.mute()
