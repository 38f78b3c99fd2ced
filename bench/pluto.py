"""What virtual Plutos deliver through the real driver: samples a second, microseconds an attribute.

    python -m bench.pluto [--quick] [--json FILE]

`pairzero emulate --count 6` in a process of its own; pyadi-iio and libiio in this one. Five units send a cyclic waveform,
the sixth receives in blocks of 16384 samples; surroundings are pluto-bench.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Row, publish

BLOCK = 16384
SENDERS = 5


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


def measure(quick: bool) -> list[Row]:
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
    publish("pluto", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
