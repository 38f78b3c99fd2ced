"""What simulating K devices costs beyond their 2K forward passes, in time and in memory.

    python -m bench.devices [--quick] [--json FILE] [--threads N]

OPT-125M's architecture with random weights, all of them trained; every device has a batch of 4 sequences of 64 tokens, P = 1,
central, ideal air, no privacy: open, collect and commit of the in-process transport.  Its forwards are 2K batches of 4 through
the same network.  Rounds and forwards take turns; medians.  Memory is the largest resident set of a process for each K.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from bench.opt125m import batch, random_opt
from bench.step import MU, RATE, seconds
from bench.table import Row, publish
from fl.summary import peak_rss_mib

BATCH = 4


def run(devices: int, quick: bool, threads: int, turns: int) -> dict[str, float]:
    import torch

    from bench.opt125m import likelihood
    from fl.crew import LocalCrew
    from fl.device import Device
    from fl.order import RoundOrder
    from fl.replica import Replica
    from fl.transport import InProcess
    from fl.update import RoundUpdate, own_moves
    from privacy.grid import Grid
    from privacy.noise import ReproducibleSecret
    from radio.ideal import IdealAir

    torch.set_num_threads(threads)
    model = random_opt(quick)
    scorer = likelihood(model, BATCH)
    replica = Replica(model, scorer, ("*",), threads=threads)
    shares = [batch(BATCH, seed=k) for k in range(devices)]
    members = [
        Device(f"device-{k}", share, 1.0, Grid(10.0, BATCH), ReproducibleSecret(1, "device", k))
        for k, share in enumerate(shares)
    ]
    air = IdealAir(devices)
    transport = InProcess("bench", LocalCrew(replica, members), members, air)
    slot = 0

    def one_round() -> None:
        nonlocal slot
        order = RoundOrder(slot, slot + 1, 1, MU)
        transport.open(order)
        received = transport.collect(air.plan(air.sound(slot), 10.0))
        moves = own_moves(order.seed, (RATE * float(received.total[0]) / devices,))
        transport.commit(RoundUpdate(order.seed, MU, 1, replica.probe, moves))
        slot += 1

    def forwards() -> None:
        for share in shares:
            scorer.losses(share)
            scorer.losses(share)

    one_round()
    times = [(seconds(one_round), seconds(forwards)) for _ in range(turns)]
    ratio = statistics.median(r / f for r, f in times)
    return {"round_s": statistics.median(r for r, _ in times), "ratio": ratio, "rss_mib": peak_rss_mib()}


def apart(devices: int, threads: int, turns: int) -> dict[str, float]:
    """`run` in a process of its own, for its memory."""
    words = [
        sys.executable,
        "-m",
        "bench.devices",
        "--one",
        str(devices),
        "--threads",
        str(threads),
        "--turns",
        str(turns),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"K = {devices} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(quick: bool, threads: int) -> list[Row]:
    rows: list[Row] = []
    peaks: dict[int, float] = {}
    counts = (1, 8) if quick else (1, 8, 64)
    for devices in counts:
        turns = 3 if quick else {1: 9, 8: 7, 64: 3}[devices]
        found = run(devices, quick, threads, turns) if quick else apart(devices, threads, turns)
        peaks[devices] = found["rss_mib"]
        rows += [
            Row(f"devices_ratio_k{devices}", found["ratio"], "x 2K forwards", f"{threads} threads, batch 4, length 64"),
            Row(f"round_s_k{devices}", found["round_s"], "s", "median"),
            Row(f"rss_k{devices}", found["rss_mib"], "MiB", "peak of the process"),
        ]
    last = counts[-1]
    rows.append(Row(f"rss_k{last}_over_k1", peaks[last] / peaks[1], "", "peak memory"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one, arguments.quick, arguments.threads, arguments.turns)))
        return
    publish("devices", measure(arguments.quick, arguments.threads), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
