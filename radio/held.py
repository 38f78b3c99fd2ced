"""Tones that run all the time, at weights: a start costs the air as long as the latest one takes.

Between slots, and between rounds, the weight is 0. Every round's pilots measure where each tone is in the receiver's count
of samples, so what happens to that count between two rounds does not matter. The tones are started again when a radio says
that its one does not run any more (muted, tuned, lost and opened anew), and after a round that failed: what a device that
was not heard sends is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from radio.errors import InputError
from radio.radio import Radio, WeighableRadio
from radio.tone import Tone


class HeldTones:
    """See the module.

    Args:
        radios: K transmitters whose cyclic transmission can be scaled.
        tone: that each of them sends.
        late_samples: within which the last of them has begun.

    Raises InputError for a radio that cannot scale a running transmission.
    """

    def __init__(self, radios: Sequence[Radio], tone: Tone, late_samples: int) -> None:
        self._radios: list[WeighableRadio] = []
        for radio in radios:
            if not isinstance(radio, WeighableRadio):
                raise InputError(
                    "hold is set, but a radio cannot scale a running transmission (`weigh`); unset hold and trigger every "
                    "start"
                )
            self._radios.append(radio)
        self._tone, self._late = tone, late_samples
        self._trusted = False

    def ensure(self, receiver: Radio) -> None:
        """Every tone runs, at weight 0. Where they have to be started, `receiver` hears and forgets the latest start."""
        if self._trusted and all(radio.holding for radio in self._radios):
            return
        self._trusted = False
        for radio in self._radios:
            radio.mute()
        for radio in self._radios:
            radio.transmit(self._tone.samples(self._tone.window), cyclic=True)
            radio.weigh(0.0)
        if self._late > 0:
            receiver.receive(self._late)
        self._trusted = True

    def distrust(self) -> None:
        """Something went wrong: the next `ensure` starts all of them."""
        self._trusted = False

    def weigh(self, device: int, value: complex) -> None:
        self._radios[device].weigh(value)
