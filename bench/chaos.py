"""What a lab survives: kills, nonsense on the wire, links that break, and power cuts; and what its control plane costs.

    python -m bench.chaos [--quick] [--json FILE] [--kills 200] [--messages 1000000] [--cuts 1000]
                          [--partition 30] [--overhead | --long ROUNDS | --embedded]

`kills` of a server and two devices on a toy model, at every named write, send and arm (`bench.seams`) and at random;
`digest_mismatches` counts replicas, logs and final weights that are not those of the journal, `lost_commits` entries that a
process had seen and the journal lacks, `budget_overspends` budgets exceeded, slots charged twice, transmitted without a
charge, or burned beyond one a kill; `--embedded` is the same with the shipped model. `overhead_ms` is what a round costs
besides measuring, updating and the air, with and without what the disk takes to sync journal and ledgers.

`malformed` frames, damaged, stale, repeated, reordered, of strangers or out of turn, half of them at a server and half at a
device, both in the middle of a round: `uncaught` counts those that raised an error or changed anything. `rejoin_s_max` is the
longest that a device's link took to carry an answer again after a TCP reset, one in ten exchanges, or a partition's end.
`power_cuts` are played on a journal, at any of its syncs: `corrupt_journals` counts those that could then not be opened, or
had lost a record that was acknowledged.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.chaos_disk import power_cuts
from bench.chaos_kills import kill_again_and_again
from bench.chaos_link import rejoins
from bench.chaos_messages import fuzz_device, fuzz_server
from bench.chaos_rounds import Growth, alone, overheads_s, together
from bench.forks import Forks
from bench.seams import SEAMS, Seam
from bench.table import Row, publish
from bench.toy import toy_experiment, toy_model
from fl.config import load

SEED = 1
GAINS = "*layers.0.self_attn_layer_norm.weight"  # what the demo trains
LAB_SHARE = 4  # of the rounds of one process, one in so many is also asked of a lab


def kills(forks: Forks, experiment: Path, folder: Path, count: int, seams: Sequence[Seam]) -> list[Row]:
    tally = kill_again_and_again(forks, experiment, folder, seams, count, SEED)
    runs = f"{tally.runs} run{'s'[: tally.runs != 1]} of {load(experiment).learning.rounds} rounds"
    named = f"{len(tally.seams)} at named seams, {tally.random} at random, in {runs}"
    return [
        Row("kills", tally.kills, "kills", named),
        Row("digest_mismatches", tally.mismatches, "replicas", f"of {tally.replicas} that ended, and all logs"),
        Row("lost_commits", tally.lost, "entries", "that a process had seen"),
        Row("budget_overspends", tally.overspends, "charges", f"{tally.burned} slots burned, at most one a kill"),
    ]


def overhead(forks: Forks, experiment: Path, folder: Path, synced: bool = True) -> Row:
    devices = load(experiment).learning.devices
    name = ("overhead_ms" if synced else "overhead_no_disk_ms") + ("" if devices == 2 else f"_k{devices}")
    took = 1e3 * overheads_s(forks, experiment, folder / name, devices, synced)
    low, high = np.percentile(took, [10, 90])
    note = f"{devices} devices and a server on this machine, {len(took)} rounds, median; 10 to 90 %: {low:.1f} to {high:.1f}"
    return Row(name, float(np.median(took)), "ms", note)


def long(forks: Forks, whole: Path, part: Path, folder: Path) -> list[Row]:
    grown = alone(forks, whole, folder / "alone") + together(forks, part, folder / "together", 2)
    return [row for growth in grown for row in _growth_rows(growth)]


def _growth_rows(growth: Growth) -> list[Row]:
    name, note = growth.process.replace(" ", "_"), f"from the second tenth of {growth.rounds:,} rounds to the last"
    return [
        Row(f"memory_grown_{name}", growth.memory_mib, "MiB", note),
        Row(f"descriptors_grown_{name}", growth.descriptors, "descriptors", note),
    ]


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
    parser.add_argument("--kills", type=int, default=200, help="random ones, besides those at named seams")
    parser.add_argument("--overhead", action="store_true", help="only what a round costs, on a machine that is quiet")
    parser.add_argument(
        "--long", type=int, default=0, metavar="ROUNDS", help="only so many rounds, and what they leave behind"
    )
    parser.add_argument("--embedded", action="store_true", help="only the kills, of runs of the shipped model")
    parser.add_argument("--partition", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--cuts", type=int, default=1_000)
    arguments = parser.parse_args()
    quick = arguments.quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = Path("embedded") if arguments.embedded else toy_model(folder / "model")

        def toy(rounds: int, devices: int = 2, parameters: str = GAINS) -> Path:
            file = folder / f"{devices}-{rounds}.toml"
            file.write_text(toy_experiment(model, rounds, devices, parameters).to_toml(), encoding="utf-8")
            return file

        if arguments.long:
            files = [toy(arguments.long), toy(max(1, arguments.long // LAB_SHARE))]
        elif quick:
            files = [toy(20)]
        elif arguments.embedded:
            files = [toy(200)]
        else:
            files = [toy(500), toy(500, 5), *([] if arguments.overhead else [toy(200, parameters="*")])]
        with Forks(files) as forks:
            if arguments.long:
                rows = long(forks, *files, folder)
            else:
                kinds = () if arguments.embedded else (True,) if quick else (True, False)
                rows = [overhead(forks, file, folder, synced) for file in files[:2] for synced in kinds]
                if not arguments.overhead:
                    rows += kills(forks, files[-1], folder, 2 if quick else arguments.kills, () if quick else SEAMS)
    if not (arguments.long or arguments.overhead or arguments.embedded):
        rows += wire(10_000 if quick else arguments.messages)
        rows += link(20, 1.0) if quick else link(1000, arguments.partition)
        rows += disk(100 if quick else arguments.cuts)
    publish("chaos", rows, quick, arguments.json)


if __name__ == "__main__":
    main()
