"""The transmitters of an air, wherever they are: told what to send in cues, silent on every way out.

`OwnCast` has their radios in this process. Where every device is a process of its own, cues go over a link instead and
payloads stay where they are (`fl.lab.remote_cast`); receivers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, Received
from radio.cue import Cue
from radio.equalisation import mean_dbfs
from radio.errors import InputError
from radio.modulator import Modulator
from radio.radio import Radio
from radio.transmitter import Transmitter, payload_of


class CueLost(InputError):
    """A transmitter elsewhere has not done what it was cued for, or nobody can tell whether it has."""


class Cast(Protocol):
    """K transmitters.

    Attributes:
        devices: K.
    """

    devices: int

    @property
    def present(self) -> NDArray[np.bool_]:
        """(K,) who can be cued at all just now."""
        ...

    def cue(self, cues: Mapping[int, Cue]) -> None:
        """In this order; when it returns, all of them have done it. Raises InputError (`CueLost` over a link) where one has not,
        or may not have."""
        ...

    def hold(self, anew: bool) -> bool:
        """Every tone runs, at weight 0, `anew` or as it is; whether any of them had to be started. Of modes that hold."""
        ...

    def mute(self) -> None:
        """Silence every transmitter, even if one of them fails to obey; then report the first failure."""
        ...

    def close(self) -> None:
        """Mute, and give back what is here. Safe to call more than once."""
        ...


class OwnCast:
    """Radios in this process, with the payloads that `load` gives them.

    Args:
        radios: K of them.
        modulator: of the mode; None: they can only be muted.

    Raises InputError where a tone is to be held by a radio that cannot scale a running transmission.
    """

    def __init__(self, radios: Sequence[Radio], modulator: Modulator | None = None) -> None:
        self.devices = len(radios)
        self._radios = list(radios)
        self._modulator = modulator
        self._transmitters: list[Transmitter] = []
        if modulator is not None:
            self._transmitters = [Transmitter(radio, k, modulator) for k, radio in enumerate(radios)]

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.ones(self.devices, dtype=bool)

    def load(self, payloads: NDArray[np.float64], plan: AirPlan) -> None:
        """`payloads` (K, P) of the active devices, to be sent when their cues come."""
        for k, transmitter in enumerate(self._transmitters):
            transmitter.load(payload_of(payloads[k], plan, k) if plan.active[k] else None)

    def account(self, received: Received, slot_samples: int) -> Received:
        """With what only transmitters know: power sent since `load`, and samples limited, `slot_samples` of a slot."""
        clipped = np.array([slot_samples * t.limited for t in self._transmitters], dtype=np.int64)
        power = np.array([np.mean(t.powers) if t.powers else 0.0 for t in self._transmitters])
        return replace(received, clipped=clipped, transmit_power_dbfs=mean_dbfs(power))

    def cue(self, cues: Mapping[int, Cue]) -> None:
        for device, cue in cues.items():
            self._transmitters[device].obey(cue)

    def hold(self, anew: bool) -> bool:
        if not anew and all(transmitter.holding for transmitter in self._transmitters):
            return False
        self.mute()
        self.cue({k: Cue("start") for k in range(self.devices)})
        return True

    def mute(self) -> None:
        _each(self._radios, lambda radio: radio.mute())

    def close(self) -> None:
        _each(self._radios, lambda radio: radio.close())


def own_cast(cast: Cast) -> OwnCast:
    """`cast`, whose transmitters are here. Raises InputError where they are not."""
    if not isinstance(cast, OwnCast):
        raise InputError("aggregate, but the transmitters are elsewhere and have their payloads already: receive")
    return cast


def close_all(cast: Cast, receiver: Radio) -> None:
    """Mute and close both, even if one of them fails to obey; then report the first failure."""
    try:
        cast.close()
    finally:
        receiver.close()


def _each(radios: Sequence[Radio], action: Callable[[Radio], None]) -> None:
    """`action` on every one of them, even if one fails; then the first failure."""
    failure: Exception | None = None
    for radio in radios:
        try:
            action(radio)
        except Exception as error:  # the others must have their turn first
            failure = failure or error
    if failure is not None:
        raise failure
