"""Tones that run all the time, at weights: a start costs the air as long as the latest one takes.

Between slots, and between rounds, the weight is 0. Every round's pilots measure where each tone is in the receiver's count
of samples, so what happens to that count between two rounds does not matter. The tones are started again when a radio says
that its one does not run any more (muted, tuned, lost and opened anew), and after a round that failed: what a device that
was not heard sends is not known.
"""

from __future__ import annotations

from radio.cast import Cast
from radio.radio import Radio


class HeldTones:
    """See the module.

    Args:
        cast: K transmitters that hold a tone.
        late_samples: within which the last of them has begun.
    """

    def __init__(self, cast: Cast, late_samples: int) -> None:
        self._cast, self._late = cast, late_samples
        self._trusted = False

    def ensure(self, receiver: Radio) -> None:
        """Every tone runs, at weight 0. Where they have to be started, `receiver` hears and forgets the latest start."""
        anew, self._trusted = not self._trusted, False
        if self._cast.hold(anew) and self._late > 0:
            receiver.receive(self._late)
        self._trusted = True

    def distrust(self) -> None:
        """Something went wrong: the next `ensure` starts all of them."""
        self._trusted = False
