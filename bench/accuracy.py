"""How accurate does an experiment become?  The whole command, once per seed, in processes of their own.

    python -m bench.accuracy examples/demo.toml --seeds 3
    python -m bench.accuracy examples/rte.toml --set task.root=DIR --figure docs/results/recipes/rte.svg

Each seed changes the public directions, the data drawn, the partition and the fading; batches and noise are secret and
differ in any case.  The interval is Student's t over seeds.  The JSON has the curve, too: held-out accuracy on the way, on
`run.evaluate_examples` of the examples, and at the end on all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bench.table import Row, publish
from fl.journal import read_history
from fl.studies.statistics import estimate
from fl.studies.study import Figure
from fl.studies.write import draw
from radio.palette import MUTED, SERIES

QUICK = ("learning.rounds=3", "learning.devices=2", "task.test_examples=40", "run.evaluate_every=2")
SHARES = ("accuracy", "zero_shot_accuracy", "bow_accuracy", "first_order_accuracy", "chance_floor")


def run_seed(experiment: str, seed: int, overrides: list[str], folder: Path) -> tuple[dict, dict[int, float]]:
    """Its summary, and accuracy by round."""
    out = folder / f"seed-{seed}"
    settings = [f"--set={value}" for value in (*overrides, f"run.seed={seed}")]
    command = [sys.executable, "-m", "fl.cli", "run", experiment, "--out", str(out), "--quiet", *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"seed {seed} ended with exit code {done.returncode}: {done.stderr.strip()}")
    # of two evaluations of one round the last, on all examples, counts
    curve = {seen["round"]: seen["accuracy"] for seen in read_history(out).evaluations}
    return json.loads((out / "summary.json").read_text(encoding="utf-8")), curve


def curve_rows(curves: list[dict[int, float]]) -> list[Row]:
    found = []
    for at in sorted(curves[0]):
        if over_seeds := estimate([curve[at] for curve in curves if at in curve]):
            note = "1 seed" if over_seeds.half is None else f"95 % +-{over_seeds.half:.1%}"
            found.append(Row(f"accuracy after round {at}", over_seeds.mean, "share", note))
    return found


def figure(name: str, summaries: list[dict], curves: list[dict[int, float]]) -> Figure:
    def plot(axes: Axes) -> None:
        for index, curve in enumerate(curves):
            label = f"{len(curves)} seeds" if index == 0 else None
            axes.plot(list(curve), list(curve.values()), color=SERIES[0], alpha=0.35, linewidth=1.0, label=label)
        rounds = sorted(curves[0])
        axes.plot(
            rounds,
            [mean(c[r] for c in curves) for r in rounds],
            color=SERIES[0],
            marker="o",
            markersize=3.5,
            label="mean",
        )
        axes.axhline(summaries[0]["chance_floor"], color=MUTED, linestyle=(0, (1, 2)), label="chance floor")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
        axes.set_xlabel("round")
        axes.set_ylabel("held-out accuracy")

    return Figure(name, "", plot, 2.6)


def rows(summaries: list[dict]) -> list[Row]:
    found = []
    for key in SHARES:
        values = [s[key] for s in summaries if s[key] is not None]
        if over_seeds := estimate(values):
            each = ", ".join(f"{value:.1%}" for value in values)
            note = "1 seed"
            if over_seeds.half is not None:
                note = f"mean of {len(values)} seeds, 95 % +-{over_seeds.half:.1%}: {each}"
            found.append(Row(key, over_seeds.mean, "share", note))
    floor = summaries[0]["chance_floor"]
    gain = mean(s["accuracy"] - max(s["zero_shot_accuracy"], floor) for s in summaries)
    found.append(Row("gain", gain, "share", "accuracy over the larger of zero-shot and the chance floor, mean"))
    for key, unit in (("epsilon", ""), ("train_s", "s"), ("aggregate_nmse_db", "dB"), ("peak_rss_mib", "MiB")):
        values = [s[key] for s in summaries if s[key] is not None]
        if values:
            found.append(Row(key, max(values), unit, "largest over seeds"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", default="examples/demo.toml")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--figure", type=Path, metavar="FILE.svg", help="the curve; a PNG beside it")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    overrides = [*arguments.overrides, *(QUICK if arguments.quick else ())]
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(1, 2 if arguments.quick else arguments.seeds + 1)
        with ThreadPoolExecutor(arguments.jobs) as pool:  # each waits for a process
            ran = list(pool.map(lambda seed: run_seed(arguments.experiment, seed, overrides, Path(folder)), seeds))
    summaries, curves = [summary for summary, _ in ran], [curve for _, curve in ran]
    publish("accuracy", rows(summaries), arguments.quick, arguments.json, curve_rows(curves))
    if arguments.figure is not None:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(figure(arguments.figure.stem, summaries, curves), arguments.figure.parent)


if __name__ == "__main__":
    main()
