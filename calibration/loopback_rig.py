"""A rig of simulated radios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from calibration.rig import Rig
from radio.impairments import Impairments
from radio.loopback import LoopbackRadio
from radio.radio import Radio
from radio.surroundings import Surroundings

CRYSTAL_PPM = 25.0  # what a receiver expects of a crystal it knows nothing of
RESIDUAL_HZ = 1.0  # between carriers of one reference: what an experiment without impairments assumes of a round


class LoopbackRig(Rig):
    """K loopback radios and a receiver, in one long round that begins now.

    Args:
        surroundings: where they stand.
        shared_clock: what is said of the clocks, which need not be true; default: the truth.
        band_hz: in which the devices may send.
        say: a line for the person at the terminal.

    Attributes:
        medium: the air, for who wants the truth: `gains`, `offsets_hz`, `lags`, `interferers`.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        shared_clock: bool | None = None,
        band_hz: tuple[float, float] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.medium = medium = surroundings.medium()
        settings = surroundings.impairments
        transmitters = [LoopbackRadio(medium, k) for k in range(surroundings.devices)]
        receiver = surroundings.receiver(medium)
        receiver.receive_gain_db = surroundings.receive_gain_db
        cell = surroundings.cell(medium)
        clocks = (
            settings.common_clock and surroundings.offset_hz <= RESIDUAL_HZ if shared_clock is None else shared_clock
        )
        super().__init__(
            transmitters,
            receiver,
            names=[f"device-{k}" for k in range(surroundings.devices)],
            guard_samples=surroundings.guard_samples,
            offset_max_hz=_offset_max_hz(surroundings, settings),
            shared_clock=clocks,
            wait=medium.wait,
            start_lag_s=surroundings.timing_samples / surroundings.rate_sps + settings.start_jitter_s,
            band_hz=band_hz,
            facts=lambda: _facts(transmitters, receiver, clocks),
            say=say,
            cell=lambda senders, listener: replace(cell, transmitters=senders, receiver=listener),
        )


def _offset_max_hz(surroundings: Surroundings, settings: Impairments) -> float:
    """Whatever is said of the clocks: whether that is true, a search that is wide enough finds out."""
    ppm = max(CRYSTAL_PPM, settings.oscillator_ppm)
    return 2e-6 * ppm * surroundings.lo_hz + 4.0 * surroundings.offset_hz


def _facts(transmitters: Sequence[Radio], receiver: Radio, shared_clock: bool) -> dict[str, Any]:
    """In the words of `OpenStation.metadata`."""

    def one(radio: Radio, serial: str) -> dict[str, Any]:
        return {
            "uri": "loopback",
            "serial": serial,
            "model": "loopback (simulated)",
            "firmware": "",
            "lo_hz": radio.lo_hz,
            "rate_sps": radio.rate_sps,
            "transmit_gain_db": radio.transmit_gain_db,
            "receive_gain_db": radio.receive_gain_db,
            "temperatures_c": {},
        }

    return {
        "station": "loopback",
        "clock": "shared" if shared_clock else "free",
        "receiver": one(receiver, "loopback-receiver"),
        "devices": [one(radio, f"loopback-{k:02d}") for k, radio in enumerate(transmitters)],
    }
