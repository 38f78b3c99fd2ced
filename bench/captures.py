"""Whether a Pluto's backend ever takes a stale sample for a fresh one, and whether opening and closing leaks.

    python -m bench.captures [--quick] [--json FILE]

Virtual units (`pairzero emulate`, in a process of its own) through pyadi-iio and libiio. A unit numbers the blocks it
captures: before every reception it is told a new number, and what is received must carry that number and no older one, in
the blocks that the receiver's clock says. Lengths and rings vary; between some receptions time jumps, by commands of a
second unit, and streams begin anew; a reception that such a jump falls into is lost, and says so. Then units are opened,
used and closed, and descriptors and memory of this process are counted.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
from pathlib import Path

import numpy as np

from bench.pluto import emulator
from bench.table import Row, publish
from radio.pluto.stream import ADC_FULL_SCALE
from radio.pluto.transceiver import PlutoRadio, open_radio
from radio.streams import stream

RINGS = ((4, 256), (1, 64), (8, 100), (2, 1000))  # kernel blocks, samples of each
WARM_UP = 20  # openings before anything is counted: libraries keep what they allocate once
NUMBERS = 2048  # that fit into a sample


def stale_receptions(
    receiver: PlutoRadio, other: PlutoRadio, captures: int, block_samples: int, seed: int
) -> tuple[int, int]:
    """Receptions, of `captures`, that hold a sample from before they were asked for or another block than the clock says,
    and those that count for nothing.

    Args:
        receiver: a virtual unit's; its `emulator` device numbers blocks.
        other: another unit of the same air, whose commands make time pass.
        captures: how many receptions.
        block_samples: of the receiver's ring.
        seed: of lengths and of what happens in between.
    """
    draws = stream(seed, "bench captures")
    mark = receiver.unit.context.find_device("emulator").attrs["mark"]
    stale = lost = 0
    known = (-1, 0, 0.0)
    for capture in range(captures):
        event = int(draws.integers(20))
        if event == 0:
            other.lo_hz = 900e6 + 1e6 * int(draws.integers(20))
        elif event == 1:
            receiver.rate_sps = 1e6 + 1e3 * int(draws.integers(100))  # closes the stream
        number = capture % NUMBERS
        mark.value = str(number)
        heard = receiver.receive(int(draws.integers(1, 3 * block_samples)))
        codes = np.rint(heard.view(np.float64).reshape(-1, 2) * ADC_FULL_SCALE)
        if np.isnan(codes).all():
            lost, known = lost + 1, (-1, 0, 0.0)
            continue
        epoch, clock, block = receiver.clock_epoch, receiver.clock_samples - len(codes), codes[0, 1]
        if epoch == known[0]:  # counted without a break since the reception before
            block = known[2] + (clock - known[1]) / block_samples
        wanted = np.stack([np.full(len(codes), number), (block + np.arange(len(codes)) // block_samples) % NUMBERS], 1)
        stale += not np.array_equal(codes, wanted)
        known = (epoch, clock, codes[0, 1])
    return stale, lost


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def resident_mib() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2.0**20


def open_and_close(uri: str, cycles: int) -> None:
    """Each time with a receive stream."""
    for _ in range(cycles):
        with open_radio(uri, block_samples=4096, kernel_blocks=4) as radio:
            radio.receive(64)


def growth(uri: str, cycles: int) -> tuple[int, float]:
    """Descriptors and MiB that `cycles` openings leave behind, after some that are not counted."""
    open_and_close(uri, WARM_UP)
    before, memory = descriptors(), resident_mib()
    open_and_close(uri, cycles)
    return descriptors() - before, resident_mib() - memory


def measure(quick: bool) -> list[Row]:
    captures, cycles = (200, 20) if quick else (10_000, 500)
    counts = np.zeros(2, dtype=np.int64)
    with emulator("shared") as uris:
        for index, (blocks, size) in enumerate(RINGS):
            with (
                open_radio(uris[0], kernel_blocks=blocks, block_samples=size) as receiver,
                open_radio(uris[1]) as other,
            ):
                counts += stale_receptions(receiver, other, captures // len(RINGS), size, index)
        grown, mib = growth(uris[0], cycles)
    note = f"of {captures} numbered receptions, rings of {', '.join(f'{b} x {n}' for b, n in RINGS)}; 0 is allowed"
    return [
        Row("stale_captures", int(counts[0]), "1", note),
        Row("lost_captures", int(counts[1]), "1", "of the same; time jumped within them"),
        Row("descriptors_grown", grown, "1", f"by {cycles} times open, receive, close; 0 is allowed"),
        Row("rss_grown_mib", mib, "MiB", f"by the same {cycles}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    logging.getLogger("radio").setLevel(logging.ERROR)
    publish("captures", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
