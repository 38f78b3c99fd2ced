"""What a lab survives: nonsense on the wire and power cuts.

    python -m bench.chaos [--quick] [--json FILE] [--messages 1000000] [--cuts 1000]

`malformed` frames, damaged, stale, of strangers or out of turn, at a server in the middle of a round: `uncaught` counts those
that raised an error or changed who is in the round, the log or who is a member.  `power_cuts` are played on a journal, at any of
its syncs: `corrupt_journals` counts those that could then not be opened, or had lost a record that was acknowledged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.chaos_disk import power_cuts
from bench.chaos_messages import fuzz
from bench.table import Row, publish

SEED = 1


def wire(messages: int) -> list[Row]:
    seen = fuzz(messages, SEED)
    return [
        Row("malformed", messages, "frames", f"{seen.nonsense:,} refused as nonsense, {seen.sense:,} out of place"),
        Row("uncaught", seen.uncaught + seen.moved, "frames", "raised an error or moved the server"),
    ]


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
    parser.add_argument("--cuts", type=int, default=1_000)
    arguments = parser.parse_args()
    quick = arguments.quick
    rows = wire(20_000 if quick else arguments.messages) + disk(100 if quick else arguments.cuts)
    publish("chaos", rows, quick, arguments.json)


if __name__ == "__main__":
    main()
