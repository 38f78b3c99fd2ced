"""A rig of the radios of a station, real or virtual."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from calibration.rig import Rig
from radio.pluto.transceiver import PlutoRadio
from radio.station import OpenStation


def station_rig(
    opened: OpenStation, *, names: Sequence[str] | None = None, say: Callable[[str], None] = lambda _: None
) -> Rig:
    """The rig of an open station; closing stays with whoever opened it. `names`: where not all of a bench's devices are open.

    Carriers are searched for as wide as two crystals can be apart, whatever the station file says of the clocks: whether
    that is true is for the carrier step to find out.
    """
    file, station = opened.file, opened.file.station
    cell = opened.cell()

    def ended_s(n: int) -> float:
        """Virtual time is ahead of what was read: by the ring, and by what of the last block was not asked for."""
        unit = opened.receiver.unit
        if not unit.virtual:
            return time.monotonic()
        ahead = station.kernel_blocks * station.block_samples + -n % station.block_samples
        return unit.get_number("virtual_clock") - ahead / station.rate_sps

    return Rig(
        opened.transmitters,
        cell.receiver,
        names=[f"device-{k}" for k in range(len(file.device))] if names is None else names,
        guard_samples=cell.guard_samples,
        offset_max_hz=2e-6 * station.crystal_ppm * station.lo_hz,
        shared_clock=station.clock == "shared",
        wait=lambda seconds: pass_time(opened.receiver, seconds, station.kernel_blocks * station.block_samples),
        reception_s=file.reception_s,
        ended_s=ended_s,
        start_lag_s=station.start_lag_s,
        band_hz=None if file.permit is None else file.permit.band_hz,
        facts=opened.metadata,
        say=say,
        cell=file.cell,
    )


def pass_time(receiver: PlutoRadio, seconds: float, ring_samples: int) -> None:
    """Sleep; where time is virtual, let it pass instead, which takes no longer than the receiver's ring of samples lasts.

    The pause is not left out: a receiver that was not read asks for lost samples only after one.
    """
    unit = receiver.unit
    passed = 0.0
    if unit.virtual:
        before = unit.get_number("virtual_clock")
        unit.set("virtual_wait", f"{seconds:.6f}")
        passed = unit.get_number("virtual_clock") - before
    pause = seconds - passed if passed < 0.5 * seconds else ring_samples / receiver.rate_sps
    time.sleep(max(0.0, pause))
