"""The receive stream: what is lost is noticed, and reading without pause loses nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest

from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.pluto.transceiver import PlutoRadio, open_radio

pytestmark = pytest.mark.libiio

RING = 4 * 4096


def advance(radio: PlutoRadio, pause_s: float) -> tuple[int, int]:
    """By how much clock and epoch move over a reception of one sample after a pause."""
    clock, epoch = radio.clock_samples, radio.clock_epoch
    time.sleep(pause_s)
    radio.receive(1)
    return radio.clock_samples - clock, radio.clock_epoch - epoch


@pytest.mark.parametrize("block", [2, 6])
def test_a_gap_begins_an_epoch_and_spoils_only_the_reception_it_is_in(uri: str, plutos: Plutos, block: int) -> None:
    """Of 5 blocks dropped and one used, a gap in a dropped one moves the clock as well; as the flag does not say where it
    was, the reception is not used either way."""
    with open_radio(uri) as radio:
        radio.rate_sps = 1e6
        radio.receive(64)
        epoch = radio.clock_epoch
        plutos.units[0].faults.arm(parse_fault(f"gap@capture={block},seconds=0.01", 0))
        assert np.isnan(radio.receive(64)).all()
        assert radio.clock_epoch == epoch + 1
        assert np.isfinite(radio.receive(64)).all()
        assert radio.clock_epoch == epoch + 1


def test_who_pauses_loses_count_in_real_time_unless_the_stream_is_drained() -> None:
    """A ring of 16 ms cannot last through a pause of 200 ms; at 1 MS/s as many thousand samples pass."""
    with serve(1, host="127.0.0.1", port=0, realtime=True) as plutos:
        with open_radio(plutos.uris[0]) as radio:
            radio.rate_sps = 1e6
            radio.receive(1)
            clock, epoch = advance(radio, 0.2)
            assert clock <= RING + 3 * 4096 and epoch == 1
        with open_radio(plutos.uris[0], drain=True) as radio:
            radio.rate_sps = 1e6
            radio.receive(1)
            clock, _ = advance(radio, 0.2)
            assert clock > 2 * RING


def test_a_drained_stream_that_breaks_says_so() -> None:
    with serve(1, host="127.0.0.1", port=0, realtime=True) as units, open_radio(units.uris[0], drain=True) as radio:
        radio.rate_sps = 1e6
        radio.receive(1)
        units.units[0].faults.arm(parse_fault("drop@capture=1", 0))
        assert np.isnan(radio.receive(64)).all()
        assert np.isfinite(radio.receive(64)).all()
