"""Virtual Plutos as a station, and a rig of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from calibration.rig import Rig
from calibration.station_rig import station_rig
from radio.emulator.server import Plutos, serve
from radio.profiles import Profile
from radio.station import StationFile, open_station


def station_file(plutos: Plutos, outsiders: int = 0, **changes: Any) -> StationFile:
    """The last unit listens, the others are devices 0 and on, but for the first `outsiders`, which are no part of it."""
    settings = {"lo_hz": 915e6, "receive_gain_db": 20, "transmit_gain_db": 0, "block_samples": 2048, "kernel_blocks": 2}
    *devices, receiver = plutos.uris[outsiders:]
    return StationFile.model_validate(
        {
            "station": settings | changes,
            "permit": {"band_hz": [910e6, 920e6], "max_eirp_dbm": 10, "duty": 1},
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


@pytest.fixture
def virtual() -> Iterator[Callable[..., tuple[Rig, Plutos]]]:
    """`virtual(units, clock=what is true, said=what the station file says, profile=, seed=...)`: a rig and its units."""
    with ExitStack() as stack:

        def build(
            count: int = 3,
            *,
            clock: str = "free",
            said: str = "",
            seed: int = 5,
            profile: str | Profile = "pluto-bench",
            realtime: bool = False,
            **changes: Any,
        ) -> Any:
            served = serve(count, profile=profile, clock=clock, seed=seed, realtime=realtime, host="127.0.0.1", port=0)
            plutos = stack.enter_context(served)
            opened = stack.enter_context(open_station(station_file(plutos, clock=said or clock, **changes)))
            return station_rig(opened), plutos

        yield build
