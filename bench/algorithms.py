"""What does every algorithm reach in N rounds, and what does it spend?  Same model, task, partition, batches and evaluation.

    python -m bench.algorithms [examples/demo.toml] [--rounds N] [--only NAME,...] [--set SECTION.KEY=VALUE]

Every method that is not ours is our own re-implementation of it (`fl.baselines`, each file with its source and how it
differs).  A method takes from the experiment what it has use for: `pairzero` and its presets run with its privacy and over
its air, `dpzero` with its privacy, `-ota` methods over its channel's statistics; the others are without both, and
`pairzero-ideal` is our method without both.  One seed: differences of a few hundredths are luck.  All names with the default
100 rounds take tens of minutes on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.table import Row, publish
from fl.baselines.harness import PRESETS, Curve, train
from fl.config import Experiment, load
from fl.studies.tiny import tiny_opt

QUICK = (
    "learning.devices=2",
    "learning.batch=4",
    "learning.micro_batch=8",
    'learning.parameters=["*layers.0.*layer_norm.weight", "*layers.0.fc1.weight"]',
    "task.examples_per_device=4",
    "task.test_examples=16",
    "radio.window=256",
    "radio.pilot_window=128",
    "privacy.delta=1e-2",  # everybody's whole data each round: no accountant to wait for
    "run.threads=1",
)


def rows(curve: Curve) -> list[Row]:
    """Four rows of one algorithm."""
    spent, loss, accuracy = curve.cost[-1], curve.loss, curve.accuracy
    analog = spent.uplink_uses > 0
    return [
        Row(f"{curve.name}_loss", loss[-1], "nats", f"held out, rounds: {curve.rounds[-1]}; before: {loss[0]:.4f}"),
        Row(f"{curve.name}_accuracy", accuracy[-1], "share", f"chance floor {curve.chance_floor:.3f}"),
        Row(
            f"{curve.name}_forwards",
            spent.forwards,
            "examples",
            f"in {spent.passes:g} passes" + (f"; {spent.backwards:g} examples backward" if spent.backwards else ""),
        ),
        Row(
            f"{curve.name}_uplink",
            float(spent.uplink_uses if analog else spent.uplink_bits),
            "channel uses" if analog else "bit",
            ("all devices together, analog" if analog else "sum over devices, digital") + f"; d = {curve.trainable:,}",
        ),
    ]


def measure(experiment: Experiment, names: list[str], rounds: int) -> list[Row]:
    found: list[Row] = []
    for name in names:
        found += rows(train(name, experiment, rounds, rounds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("experiment", nargs="?", type=Path, default=Path("examples/demo.toml"))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(PRESETS)}")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(PRESETS)
    if unknown := [name for name in names if name not in PRESETS]:
        parser.error(f"--only {','.join(unknown)}: not known; allowed: {', '.join(PRESETS)}")
    if arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            overrides = [*arguments.overrides, *QUICK, f"model.source={tiny_opt(Path(folder))}"]
            found = measure(load(arguments.experiment, overrides), names, rounds=1)
    else:
        found = measure(load(arguments.experiment, arguments.overrides), names, arguments.rounds)
    publish("algorithms", found, arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
