"""What a simulated medium asks of a channel: `radio.fading.Fading` draws one, `radio.measured` has one measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Channel(Protocol):
    """Complex gains of K devices by round; attributes as those of `radio.fading.Fading`."""

    @property
    def devices(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def doppler_hz(self) -> float: ...

    @property
    def tap_delays_s(self) -> Sequence[float]: ...

    @property
    def mean_power(self) -> NDArray[np.float64]: ...

    def gains(self, round_index: int) -> NDArray[np.complex128]: ...

    def paths(self, round_index: int) -> NDArray[np.complex128]: ...

    def track(self, round_index: int, seconds: NDArray[np.float64]) -> NDArray[np.complex128]: ...
