"""What virtual Plutos deliver through the real driver: rounds a second and their errors, samples a second, attributes.

    python -m bench.pluto [--quick] [--json FILE]

`pairzero emulate --count 6` in a process of its own, in virtual time; pyadi-iio and libiio in this one. Five units send, the
sixth receives; surroundings are pluto-bench. A round is the scalar path alone: pilots, plan, one sum with its reference
slot, at the default window. Errors are of the sum, rms over full scale, K X; payloads are uniform.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Row, publish
from radio.cell import SampledMode
from radio.station import StationFile, open_station
from radio.streams import stream

BLOCK = 16384
SENDERS = 5
WINDOW, PILOT_WINDOW = 4096, 1024  # the experiment file's defaults
ENERGY_WINDOW = 16384  # 16 ms
SMALL_RING = {"kernel_blocks": 1, "block_samples": 2112}  # enough where time is virtual and nothing comes too fast
STRETCH = 5  # rounds that are timed together
SEED = 7


@contextmanager
def emulator(clock: str) -> Iterator[list[str]]:
    """URIs of the units of a `pairzero emulate`, which ends with the block."""
    command = [sys.executable, "-m", "fl.cli", "emulate", "--count", str(SENDERS + 1), "--clock", clock]
    process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        uris = []
        for line in process.stdout:
            if line.strip() == "ready":
                break
            uris.append(line.split()[0])
        yield uris
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextmanager
def radios(uris: list[str]) -> Iterator[list[Any]]:
    """`adi.Pluto` of each URI, at 1 MS/s and 915 MHz; the buffers are destroyed at the end."""
    import adi

    opened = [adi.Pluto(uri=uri) for uri in uris]
    try:
        for sdr in opened:
            sdr.sample_rate = 1_000_000
            sdr.tx_lo = sdr.rx_lo = 915_000_000
            sdr.tx_hardwaregain_chan0 = 0
            sdr.gain_control_mode_chan0 = "manual"
            sdr.rx_hardwaregain_chan0 = 15
            sdr.rx_buffer_size = BLOCK
        yield opened
    finally:
        for sdr in opened:
            sdr.rx_destroy_buffer()
            sdr.tx_destroy_buffer()


def seconds(action: Callable[[], object], times: int) -> float:
    """One of `times` calls, on average."""
    begin = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - begin) / times


def station(uris: list[str], clock: str, **ring: int) -> StationFile:
    *devices, receiver = uris
    return StationFile.model_validate(
        {
            "station": {"clock": clock, "lo_hz": 915e6, "receive_gain_db": 24, "transmit_gain_db": -10, **ring},
            "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1},
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


@dataclass(frozen=True)
class Rounds:
    """What some rounds gave: rounds a second of each stretch of `STRETCH`, rms error over full scale, erased rounds."""

    per_s: list[float]
    error: float
    erased: int

    @property
    def speed(self) -> str:
        return f"median of {len(self.per_s)} times {STRETCH} rounds, {min(self.per_s):.1f} to {max(self.per_s):.1f}"


def play(file: StationFile, mode: SampledMode, stretches: int, **windows: int) -> Rounds:
    """Rounds of one air, after two that are not counted."""
    with open_station(file, coherent=mode == "coherent") as opened:
        air = opened.cell().air(mode, SEED, **windows)
        draws, errors, per_s, erased = stream(SEED, "bench pluto", mode), [], [], 0
        begin = 0.0
        for t in range(2 + STRETCH * stretches):
            if t >= 2 and (t - 2) % STRETCH == 0:
                begin = time.perf_counter()
            payloads = draws.uniform(-1.0, 1.0, (SENDERS, 1))
            plan = air.mode.plan(air.sound(t), 1.0, truncation=0.05)
            received = air.aggregate(t, payloads, plan)
            if t < 2:
                continue
            erased += received.erased
            errors.append(float(received.total[0] - payloads[plan.active].sum()) / SENDERS)
            if (t - 1) % STRETCH == 0:
                per_s.append(STRETCH / (time.perf_counter() - begin))
    return Rounds(per_s, float(np.sqrt(np.nanmean(np.square(errors)))), erased)


def round_rows(quick: bool) -> list[Row]:
    """Rounds in coherent mode with one reference, and in energy mode without."""
    coherent, energy = (1, 1) if quick else (24, 8)
    settings = {"window": WINDOW, "pilot_window": PILOT_WINDOW}
    with emulator("shared") as uris:
        done = play(station(uris, "shared"), "coherent", coherent, **settings)
        small = play(station(uris, "shared", **SMALL_RING), "coherent", coherent, **settings)
    with emulator("free") as uris:
        other = play(station(uris, "free"), "energy", energy, window=ENERGY_WINDOW)
    error = "of full scale, rms of {} rounds, {}, {} erased; {} is allowed"
    return [
        Row(
            "rounds_per_s", statistics.median(done.per_s), "1/s",
            f"coherent, window {WINDOW}, pilots {PILOT_WINDOW}, default ring: {done.speed}; 10 are wanted",
        ),
        Row(
            "rounds_per_s_small_ring", statistics.median(small.per_s), "1/s",
            f"the same with {', '.join(f'{key} = {value}' for key, value in SMALL_RING.items())}: {small.speed}",
        ),
        Row(
            "coherent_error", 100.0 * done.error, "%",
            error.format(STRETCH * coherent, "shared clock", done.erased, 1),
        ),
        Row(
            "energy_error", 100.0 * other.error, "%",
            error.format(STRETCH * energy, f"free-running, window {ENERGY_WINDOW}", other.erased, 3),
        ),
    ]  # fmt: skip


def driver_rows(quick: bool) -> list[Row]:
    """Samples and attributes through pyadi-iio's own class."""
    repeats, blocks, calls = (3, 4, 50) if quick else (9, 40, 500)
    rows = []
    for clock in ("shared", "free"):
        with emulator(clock) as uris, radios(uris) as opened:
            *senders, receiver = opened
            for number, sdr in enumerate(senders):
                sdr.tx_cyclic_buffer = True
                sdr.tx(2**14 * np.exp(2j * np.pi * (257 + 10 * number) * np.arange(BLOCK) / BLOCK))
            seconds(receiver.rx, 8)
            rate = statistics.median(BLOCK / seconds(receiver.rx, blocks) for _ in range(repeats))
            name = "rx_msps" if clock == "shared" else "rx_free_msps"
            rows.append(Row(name, rate / 1e6, "MS/s", f"five senders, {clock} clock, blocks of {BLOCK}"))
            if clock == "shared":
                rails = [senders[0]._txdac.find_channel(f"voltage{k}", True) for k in range(2)]

                def read(sdr: Any = receiver) -> object:
                    return sdr.tx_lo

                def write(rail: Any = rails[0]) -> None:
                    rail.attrs["calibscale"].value = "0.5"

                for label, action in (("attribute_us", read), ("attribute_write_us", write)):
                    taken = statistics.median(1e6 * seconds(action, calls) for _ in range(repeats))
                    rows.append(Row(label, taken, "us", "tx_lo read" if action is read else "calibscale written"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    logging.getLogger("radio").setLevel(logging.ERROR)  # what tuning radiates: nothing does here
    publish("pluto", round_rows(arguments.quick) + driver_rows(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
