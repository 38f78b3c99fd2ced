"""What a round costs as devices multiply: time, memory and what is written, at K = 10 to 10,000 in one process.

    python -m bench.scaling [--quick] [--json FILE]

Whole private runs (`pairzero run` without its process) of a toy OPT of width 32 at symbol fidelity; every device has four
examples and draws one a round on average, so a round evaluates K of them in 2 K forwards of one example.  One process for each
K; the time of a round is the median of its slots, and memory the largest resident set, both from the run's own records.
`memory` runs have 10,000 examples whatever K, so that what devices cost is not hidden by what data costs.  `--quick` stays in
one process, whose memory then says nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.table import Row, publish
from bench.toy import experiment, toy_model

COUNTS = (10, 100, 1_000, 10_000)
DATA = 10_000  # examples of a `memory` run


def run(devices: int, each: int, rounds: int, model: Path) -> dict[str, float]:
    """One run's figures: seconds a round, peak memory, bytes a round in the journal and the diagnostics."""
    from fl.diagnostics import read_diagnostics
    from fl.journal import NAME
    from fl.run import execute
    from fl.run_folder import create
    from privacy.record_log import read_records

    with tempfile.TemporaryDirectory() as folder:
        made = create(Path(folder) / "run", experiment(model, devices, rounds, each))
        summary = execute(made, quiet=True)
        seconds = [line["seconds"] for line in read_diagnostics(made.path)]
        records = [json.dumps(r) for r in read_records(made.path / NAME) if r["type"] in ("round", "erased")]
        lines = (made.path / "diagnostics.jsonl").read_text(encoding="utf-8").splitlines()[1:]
        return {
            "round_s": statistics.median(seconds[1:] or seconds),  # the first also compiles
            "rss_mib": summary["peak_rss_mib"],
            "journal_bytes": statistics.median(map(len, records)),
            "diagnostics_bytes": statistics.median(map(len, lines)),
            "total_s": summary["total_s"],
        }


def measured(devices: int, each: int, rounds: int, model: Path) -> dict[str, float]:
    """`run` in a process of its own."""
    words = [sys.executable, "-m", "bench.scaling", "--one", str(devices), str(each), str(rounds), str(model)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"K = {devices} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(quick: bool) -> list[Row]:
    rows: list[Row] = []
    counts = (4, 16) if quick else COUNTS
    with tempfile.TemporaryDirectory() as folder:
        model = toy_model(Path(folder))
        look = run if quick else measured
        found = {devices: look(devices, 4, 3 if quick or devices > 1_000 else 9, model) for devices in counts}
        few, many = counts[0], counts[-1]
        same = found if quick else {devices: measured(devices, DATA // devices, 2, model) for devices in (few, many)}
        memory = {devices: one["rss_mib"] for devices, one in same.items() if devices in (few, many)}
    for devices, figures in found.items():
        rows += [
            Row(f"round_ms_k{devices}", 1e3 * figures["round_s"], "ms", "median; one example a device on average"),
            Row(f"round_us_per_device_k{devices}", 1e6 * figures["round_s"] / devices, "us", "of which 2 forwards"),
            Row(f"rss_k{devices}", figures["rss_mib"], "MiB", "peak of the process; 4 examples a device"),
            Row(f"journal_bytes_k{devices}", figures["journal_bytes"], "B", "a round"),
            Row(f"diagnostics_bytes_k{devices}", figures["diagnostics_bytes"], "B", "a round; simulations only"),
        ]
    linear = found[many]["round_s"] / found[counts[-2]]["round_s"] / (many / counts[-2])
    rows.append(
        Row(
            f"linear_k{many}",
            linear,
            "",
            f"time from K = {counts[-2]} to {many}, over that of the examples; 1 is linear",
        )
    )
    examples = "4 examples a device" if quick else f"{DATA:,} examples in both"
    rows.append(Row(f"rss_k{many}_over_k{few}", memory[many] / memory[few], "", examples))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        devices, each, rounds, model = arguments.one
        print(json.dumps(run(int(devices), int(each), int(rounds), Path(model))))
        return
    publish("scaling", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
