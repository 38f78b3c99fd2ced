"""How long does a simulated round take?  Sample fidelity for K = 8, and device-rounds a second at symbol fidelity.

    python -m bench.radio_speed [--quick] [--json FILE]

A round at sample fidelity is an idle slot, K pilots, plan and one payload slot, every waveform through converters, medium
and receiver.  Medians of several; run it with OMP_NUM_THREADS=1 for the figures of one core.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Row, publish
from radio.coherent import CoherentAir
from radio.loopback_air import loopback_parts
from radio.modes import open_air
from radio.streams import stream
from radio.symbol_channel import complex_normal
from radio.symbol_coherent import CoherentStatistics, SymbolCoherentAir

DEVICES = 8


def median_seconds(work: Callable[[int], object], repeats: int) -> float:
    """Of `work(i)`, after one call that is not counted."""
    work(0)
    taken = []
    for i in range(repeats):
        begin = time.perf_counter()
        work(i + 1)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def play(air: CoherentAir | SymbolCoherentAir, payloads: np.ndarray) -> Callable[[int], object]:
    return lambda t: air.aggregate(t, payloads, air.plan(air.sound(t), 1.0))


def sample_row(name: str, note: str, window: int, repeats: int, **settings: Any) -> Row:
    _, air = loopback_parts(DEVICES, 1, window=window, **settings)
    seconds = median_seconds(play(air, np.full((DEVICES, 1), 0.3)), repeats)
    return Row(name, 1e3 * seconds, "ms", note)


def profile_row(window: int, repeats: int) -> Row:
    air = open_air(DEVICES, 1, mode="coherent", profile="pluto-bench", shared_clock=True, window=window)
    if not isinstance(air, CoherentAir):
        raise TypeError(f"open_air gave a {type(air).__name__}")
    seconds = median_seconds(play(air, np.full((DEVICES, 1), 0.3)), repeats)
    return Row("round_ms_k8_pluto_bench", 1e3 * seconds, "ms", "profile with its impairments, shared clock, two sweeps")


def symbol_rows(rounds: int, repeats: int) -> list[Row]:
    receiver, draws = CoherentStatistics(), stream(1, "radio speed")

    def bulk(_: int) -> object:
        gains = complex_normal(draws, (rounds, DEVICES), 1.0)
        values = draws.uniform(-1.0, 1.0, (rounds, DEVICES))
        return receiver.rounds(gains, values, 1.0, draws)

    air = open_air(DEVICES, 1, mode="coherent", fidelity="symbol")
    if not isinstance(air, SymbolCoherentAir):
        raise TypeError(f"open_air gave a {type(air).__name__}")
    one = median_seconds(play(air, np.full((DEVICES, 1), 0.3)), 20 * repeats)
    many = rounds * DEVICES / median_seconds(bulk, repeats)
    return [
        Row("symbol_device_rounds_per_s", many, "1/s", f"K = {DEVICES}, {rounds} rounds at once; target 100,000"),
        Row("symbol_air_device_rounds_per_s", DEVICES / one, "1/s", f"K = {DEVICES}, one round a call, through `Air`"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    quick = arguments.quick
    window, repeats = (1024, 3) if quick else (16384, 21)
    tracked = {"offset_hz": 1.0, "timing_samples": 64.0, "pilot_window": window // 4}
    rows = [
        sample_row("round_ms_k8", f"coherent, shared clock, windows of {window}; target 30", window, repeats),
        sample_row(
            "round_ms_k8_offset", "late starts, offset tracked, pilots of a quarter", window, repeats, **tracked
        ),
        profile_row(window, repeats),
        *symbol_rows(1000 if quick else 20_000, repeats),
    ]
    publish("radio_speed", rows, quick, arguments.json)


if __name__ == "__main__":
    main()
