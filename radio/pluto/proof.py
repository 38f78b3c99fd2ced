"""Whether a unit scales a running transmission, found out in digital loopback: nothing is radiated."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from radio.pluto.driver import PlutoError
from radio.pluto.transceiver import START_LAG_S, PlutoRadio
from radio.pluto.weight import PROOF, measure_weights, probe_wave

TRIES = 10  # a reception that has lost samples proves nothing


def await_wave(radio: PlutoRadio, wave: NDArray[np.complex128]) -> None:
    """Receive until the cyclic `wave`, in loopback, has begun. Raises PlutoError if it does not.

    Patience is counted in samples and in seconds: the latest start lies within both, whichever way time passes.
    """
    power = 0.9 * float(np.vdot(wave, wave).real) / wave.size
    length = max(wave.size, round(START_LAG_S * radio.rate_sps / 16.0))
    deadline = time.monotonic() + 4.0 * START_LAG_S
    received = 0
    while received < 64 * length or time.monotonic() < deadline:
        heard = radio.receive(length)[-wave.size :]
        if np.vdot(heard, heard).real > power * wave.size:
            return
        received += length
    raise PlutoError(
        f"{radio.uri}: a transmission in digital loopback did not come back; unplug the unit, plug it in, try again"
    )


def weights_found(radio: PlutoRadio) -> list[tuple[complex, complex]]:
    """(wanted, found) weights, by whichever way `radio` weighs."""
    wave = probe_wave()
    with radio.digital_loopback():
        radio.transmit(wave, cyclic=True)
        await_wave(radio, wave)
        return measure_weights(radio.weigh, radio.receive, wave)


def proved(found: list[tuple[complex, complex]]) -> bool:
    return all(abs(value - wanted) <= PROOF for wanted, value in found)


def prove_weight(radio: PlutoRadio) -> bool:
    """Whether this unit weighs live; from now on it does, or not."""
    radio.weighs_live = True
    try:
        for _ in range(TRIES):
            found = weights_found(radio)
            if all(np.isfinite(value) for _, value in found):
                break
        radio.weighs_live = proved(found)
    except BaseException:
        radio.weighs_live = False
        raise
    return radio.weighs_live
