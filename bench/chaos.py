"""What a lab survives: kills, nonsense on the wire, links that break, and power cuts; and what its control plane costs.

    python -m bench.chaos [--quick] [--json FILE] [--kills 200] [--messages 1000000] [--cuts 1000] [--partition 30]

`kills` of a server and two devices on a toy model, at every named write, send and arm (`bench.seams`) and at random;
`digest_mismatches` counts replicas, logs and final weights that are not those of the journal, `lost_commits` entries that a
process had seen and the journal lacks, `budget_overspends` budgets exceeded, slots charged twice, transmitted without a
charge, or burned beyond one a kill. `overhead_ms` is what a round costs besides measuring, updating and the air.

`malformed` frames, damaged, stale, repeated, reordered, of strangers or out of turn, half of them at a server and half at a
device, both in the middle of a round: `uncaught` counts those that raised an error or changed anything. `rejoin_s_max` is the
longest that a device's link took to carry an answer again after a TCP reset, one in ten exchanges, or a partition's end.
`power_cuts` are played on a journal, at any of its syncs: `corrupt_journals` counts those that could then not be opened, or
had lost a record that was acknowledged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.chaos_disk import power_cuts
from bench.chaos_link import rejoins
from bench.chaos_messages import fuzz_device, fuzz_server
from bench.table import Row, publish

SEED = 1


def wire(messages: int) -> list[Row]:
    """As many frames for the server's machine as for a device's."""
    seen = [fuzz_server(messages, SEED), fuzz_device(messages, SEED)]
    nonsense, sense = sum(s.nonsense for s in seen), sum(s.sense for s in seen)
    return [
        Row("malformed", 2 * messages, "frames", f"{nonsense:,} refused as nonsense, {sense:,} out of place"),
        Row("uncaught", sum(s.uncaught + s.moved for s in seen), "frames", "raised an error or moved server or device"),
    ]


def link(rounds: int, partition_s: float) -> list[Row]:
    resets, longest = rejoins(rounds, partition_s)
    return [Row("rejoin_s_max", longest, "s", f"of {resets} resets and a partition of {partition_s:g} s")]


def disk(cuts: int) -> list[Row]:
    return [
        Row("power_cuts", cuts, "cuts", "at a journal's sync; any part of what was not synced is left, or zeros"),
        Row("corrupt_journals", power_cuts(cuts, SEED), "journals", "not readable, or an acknowledged record lost"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--partition", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--cuts", type=int, default=1_000)
    arguments = parser.parse_args()
    quick = arguments.quick
    rows = wire(20_000 if quick else arguments.messages)
    rows += link(20, 1.0) if quick else link(1000, arguments.partition)
    rows += disk(100 if quick else arguments.cuts)
    publish("chaos", rows, quick, arguments.json)


if __name__ == "__main__":
    main()
