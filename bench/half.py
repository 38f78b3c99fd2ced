"""What a bf16 forward pass saves and what it does to the measured projections.

    python -m bench.half [--quick] [--json FILE]

Speed on OPT-125M's architecture with random weights, batch 16, length 64.  Error on the embedded model and `reviews`: per-example
central projections of the same examples along the same directions in bf16 and in fp32, as the ratio of the error's standard
deviation to the projections' own, for the subset that the demo trains and for all weights.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

from bench.opt125m import batch, random_opt
from bench.step import Ours, seconds
from bench.table import Row, publish

DEMO = ("*layers.0.self_attn_layer_norm.weight",)


def speed(quick: bool) -> list[Row]:
    size = 4 if quick else 16
    examples = batch(size)
    both = [Ours(random_opt(quick), size, 2, half) for half in (False, True)]
    for ours in both:
        ours.step(examples)
    turns = [
        [seconds(lambda o=ours: o.replica.likelihood.losses(examples)) for ours in both]
        + [seconds(lambda o=ours: o.step(examples)) for ours in both]
        for _ in range(3 if quick else 7)
    ]
    forward = statistics.median(t[0] / t[1] for t in turns)
    step = statistics.median(t[2] / t[3] for t in turns)
    note = f"fp32 over bf16, batch {size}, length 64"
    return [Row("forward_speedup", forward, "x", note), Row("step_speedup", step, "x", note)]


def error(patterns: tuple[str, ...], mu: float, directions: int, count: int) -> tuple[float, float]:
    """(standard deviation of the projections, of their error in bf16)."""
    from fl.likelihood import OptionLikelihood
    from fl.models import load_model
    from fl.replica import Replica
    from fl.tasks.registry import load_task

    task = load_task("reviews", seed=1, devices=1, train_examples=count)
    found = []
    for half in (False, True):
        model = load_model("embedded")
        scorer = OptionLikelihood(model, task.options, 16)
        examples = [scorer.encode(task.prompt(e), e.label) for e in task.train]
        replica = Replica(model, scorer, patterns, half=half)
        found.append(np.stack([replica.projections(examples, seed, 1, mu)[:, 0] for seed in range(directions)]))
    return float(found[0].std()), float((found[1] - found[0]).std())


def measure(quick: bool) -> list[Row]:
    rows = speed(quick)
    directions, count = (1, 8) if quick else (6, 64)
    for name, patterns, radii in (("gains", DEMO, (1e-2,)), ("all", ("*",), (1e-3, 1e-2))):
        for mu in radii:
            own, wrong = error(patterns, mu, directions, count)
            rows.append(
                Row(
                    f"error_{name}_mu{mu:g}",
                    wrong / own,
                    "x std",
                    f"of a projection, whose own std is {own:.3g}; embedded",
                )
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    publish("half", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
