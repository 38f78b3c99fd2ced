"""How accurate does an experiment become?  The whole command, once per seed, in processes of their own.

    python -m bench.accuracy examples/demo.toml --seeds 3
    python -m bench.accuracy examples/sst2.toml --set task.root=../shared/data/tasks/sst2 --set run.first_order=true

Each seed changes the public directions, the data drawn, the partition and the fading; batches and noise are secret and
differ in any case.  The interval is Student's t over seeds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

from bench.table import Row, publish
from fl.studies.statistics import estimate

QUICK = ("learning.rounds=3", "learning.devices=2", "task.test_examples=40", "run.evaluate_every=2")
SHARES = ("accuracy", "zero_shot_accuracy", "bow_accuracy", "first_order_accuracy", "chance_floor")


def run_seed(experiment: str, seed: int, overrides: list[str], folder: Path) -> dict:
    out = folder / f"seed-{seed}"
    settings = [f"--set={value}" for value in (*overrides, f"run.seed={seed}")]
    command = [sys.executable, "-m", "fl.cli", "run", experiment, "--out", str(out), "--quiet", *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"seed {seed} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def rows(summaries: list[dict]) -> list[Row]:
    found = []
    for key in SHARES:
        values = [s[key] for s in summaries if s[key] is not None]
        if over_seeds := estimate(values):
            each = ", ".join(f"{value:.1%}" for value in values)
            note = f"mean of {len(values)} seeds, 95 % +-{over_seeds.half or 0.0:.1%}: {each}"
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
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    overrides = [*arguments.overrides, *(QUICK if arguments.quick else ())]
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(1, 2 if arguments.quick else arguments.seeds + 1)
        summaries = [run_seed(arguments.experiment, seed, overrides, Path(folder)) for seed in seeds]
    publish("accuracy", rows(summaries), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
