"""What the coherent mode's checks of a slot let pass; see `radio.slot_check`."""

from __future__ import annotations

import numpy as np
import pytest

from radio.loopback_air import loopback_parts
from radio.medium import Interferer
from radio.streams import stream


@pytest.mark.parametrize("bins", [0.3, 0.5, 1.0, 2.5, 5.5, 100.5])
@pytest.mark.parametrize("level", [0.02, 0.1, 0.5])
def test_carrier_near_the_tone_is_an_erasure_or_harmless(bins: float, level: float) -> None:
    """It begins after sounding, `level` of full scale strong: what passes costs 2 % of full scale at most."""
    medium, air = loopback_parts(5, 3, fading="static", snr_db=40.0, window=1024)
    draws, erased = stream(5, "carrier", int(10 * bins), int(100 * level)), 0
    for t in range(6):
        plan = air.plan(air.sound(t), 1.0)
        at_antenna = 5.0 * level * plan.alignment / 10 ** (air.receive_gain_db / 20)
        hz = (air.tone.cycles_per_sample + bins / 1024) * 1e6
        medium.interferers.append(Interferer(at_antenna * np.exp(2j * np.pi * draws.random()), hz))
        payloads = draws.uniform(-1, 1, (5, 1))
        got = air.aggregate(t, payloads, plan)
        medium.interferers.clear()
        erased += got.erased
        assert got.erased or abs(got.total[0] - payloads.sum()) < 0.02 * 5 + 5 * np.sqrt(got.variance[0])
    assert level < 0.5 or erased == 6 or bins > 5.0
