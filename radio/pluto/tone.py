"""A tone for a spectrum analyser: a permitted transmission of given length, always muted afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from radio.pluto.driver import PlutoError
from radio.pluto.permit import FULL_SCALE_DBM, DutyMeter, TransmitPermit
from radio.pluto.transceiver import open_radio
from radio.tone import phasor

LENGTH = 4096  # samples of the wave that repeats


def tone_permit(lo_hz: float, rate_sps: float, gain_db: float, seconds: float) -> TransmitPermit:
    """What one call of the command states with --allow-tx: this band, this power, this long."""
    return TransmitPermit(
        lo_hz - rate_sps / 2.0,
        lo_hz + rate_sps / 2.0,
        FULL_SCALE_DBM + gain_db,
        duty=1.0,
        duty_period_s=max(seconds, 1.0),
    )


def send_tone(
    uri: str,
    permit: TransmitPermit,
    *,
    lo_hz: float,
    offset_hz: float,
    rate_sps: float,
    gain_db: float,
    seconds: float,
    announce: Callable[[str], None] = lambda text: None,
) -> float:
    """Send a full-scale tone `offset_hz` from `lo_hz` for `seconds`; its frequency, rounded to the wave's bins, comes back."""
    if not 0.0 < abs(offset_hz) < 0.4 * rate_sps:
        raise PlutoError(
            f"the tone lies {offset_hz:g} Hz from the LO; allowed: more than 0 (the LO's own leakage) and less than 0.4 times "
            f"the rate, {0.4 * rate_sps:g}"
        )
    if not 0.0 < seconds <= 3600.0:
        raise PlutoError(f"seconds is {seconds:g}; allowed: above 0, at most 3600")
    DutyMeter(permit).check(uri, seconds)
    cycles = round(offset_hz / rate_sps * LENGTH) or (1 if offset_hz > 0 else -1)
    frequency_hz = lo_hz + cycles * rate_sps / LENGTH
    with open_radio(uri, permit=permit) as radio:
        radio.rate_sps = rate_sps
        radio.lo_hz = lo_hz
        radio.transmit_gain_db = gain_db
        radio.check_duty(seconds)  # with what earlier runs of this unit have used
        radio.transmit(np.asarray(phasor(cycles / LENGTH, LENGTH)), cyclic=True)
        announce(f"on the air at {frequency_hz / 1e6:.6f} MHz, gain {gain_db:g} dB, for {seconds:g} s; Ctrl-C ends it")
        time.sleep(seconds)
    return frequency_hz
