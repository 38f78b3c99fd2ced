"""A radio on the simulated medium."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.medium import Medium


class LoopbackRadio:
    """`Radio` on a `Medium`: transmitter `device` of it, or (device None) its receiver."""

    hardware = "loopback (simulated)"

    def __init__(self, medium: Medium, device: int | None = None, *, lo_hz: float | None = None) -> None:
        if device is not None and not 0 <= device < medium.devices:
            raise InputError(f"device is {device}; the medium has devices 0 to {medium.devices - 1}")
        self._medium = medium
        self._device = device
        self._closed = self._cyclic = False
        self.lo_hz = medium.lo_hz if lo_hz is None else lo_hz
        self.transmit_gain_db = 0.0
        self.receive_gain_db = 0.0

    @property
    def rate_sps(self) -> float:
        return self._medium.rate_sps

    @rate_sps.setter
    def rate_sps(self, value: float) -> None:
        self._medium.rate_sps = float(value)

    @property
    def full_scale(self) -> int | None:
        """Code of ADC full scale; None for an ideal converter."""
        step = self._medium.adc.step
        return round(1.0 / step) if step else None

    @property
    def clock_samples(self) -> int:
        return self._medium.clock

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        if self._closed:
            raise InputError("transmit on a closed loopback radio; open a new one")
        if self._device is None:
            raise InputError("this loopback radio is the medium's receiver and cannot transmit; name a device")
        if samples.ndim != 1 or samples.size == 0:
            raise InputError(f"samples have shape {samples.shape}; a vector of at least one sample is needed")
        self._medium.transmit(self._device, samples, cyclic, self.transmit_gain_db)
        self._cyclic = cyclic

    @property
    def holding(self) -> bool:
        return self._cyclic and self._device in self._medium.on_air

    def weigh(self, value: complex) -> None:
        if self._closed:
            raise InputError("weigh on a closed loopback radio; open a new one")
        if self._device is None:
            raise InputError("this loopback radio is the medium's receiver and sends nothing; name a device")
        self._medium.weigh(self._device, value)

    def receive(self, n: int) -> NDArray[np.complex128]:
        if self._closed:
            raise InputError("receive on a closed loopback radio; open a new one")
        if self._device is not None:
            raise InputError(f"loopback radio {self._device} is a transmitter; receive with the medium's receiver")
        if n < 1:
            raise InputError(f"n is {n}; at least one sample must be received")
        self._medium.tuned_hz = self.lo_hz - self._medium.lo_hz
        return self._medium.capture(n, self.receive_gain_db)

    def mute(self) -> None:
        if self._device is not None:
            self._medium.mute(self._device)

    def close(self) -> None:
        self.mute()
        self._closed = True
