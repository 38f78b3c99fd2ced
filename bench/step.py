"""How much a training step costs beyond its two forward passes: ours, MeZO as written, SGD and AdamW.

    python -m bench.step [--quick] [--json FILE] [--threads N] [--batch 1 4 16]

OPT-125M's architecture with random weights, all of them trained, sequences of 64 tokens, option-token loss for everybody.
A step is P = 1, central: two passes over the batch, the step, and going to the next point.  The methods take turns, one step
each, and every figure is the median over the turns of the step's time over the two forwards' of the same turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.opt125m import batch, likelihood, random_opt
from bench.table import Row, publish
from fl.studies.steps import MU, RATE, Ours, first_order


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(quick: bool, threads: int, sizes: Sequence[int]) -> list[Row]:
    import torch

    from fl.baselines.mezo import mezo_step

    torch.set_num_threads(threads)
    turns = dict.fromkeys(sizes, 3) if quick else {size: 7 + 14 // size for size in sizes}
    note = f"median of interleaved turns, {threads} threads, fp32, length 64"
    rows: list[Row] = []
    for size in sizes:
        examples = batch(size)
        plain = random_opt(quick)
        scorer = likelihood(plain, size)

        def forwards(scorer: Any = scorer, examples: list[Any] = examples) -> None:
            scorer.losses(examples)
            scorer.losses(examples)

        ours = Ours(random_opt(quick), size, threads)
        times = _turns({"forwards": forwards, "step": lambda o=ours, e=examples: o.step(e)}, turns[size])
        rows.append(Row(f"step_ratio_b{size}", _ratio(times, "step"), "x two forwards", note))
        rows.append(Row(f"forwards_s_b{size}", statistics.median(times["forwards"]), "s", "two forward passes"))
        rows.append(Row(f"step_s_b{size}", statistics.median(times["step"]), "s", "our step"))
        del ours, times
        parameters = list(plain.network.parameters())
        others: dict[str, Callable[[], object]] = {
            "mezo": lambda p=parameters, s=scorer, e=examples: mezo_step(
                p, lambda: float(s.losses(e).mean()), 1, MU, RATE
            )
        }
        for kind in ("sgd", "adamw"):
            trained = random_opt(quick)
            step = first_order(trained, likelihood(trained, size), kind)
            others[kind] = lambda f=step, e=examples: f(e)
        times = _turns({"forwards": forwards, **others}, 3)
        for kind in others:
            source = "as its trainer writes it" if kind == "mezo" else "backpropagation"
            rows.append(Row(f"{kind}_ratio_b{size}", _ratio(times, kind), "x two forwards", f"{source}; 3 turns"))
    return rows


def _turns(methods: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    for run in methods.values():
        run()  # warm
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(turns):
        for name, run in methods.items():
            times[name].append(seconds(run))
    return times


def _ratio(times: dict[str, list[float]], name: str) -> float:
    return statistics.median(t / f for t, f in zip(times[name], times["forwards"], strict=True))


def main() -> None:
    import os

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch", type=int, nargs="+", default=None, metavar="B", help="default: 1 4 16")
    arguments = parser.parse_args()
    sizes = arguments.batch or ([1, 4] if arguments.quick else [1, 4, 16])
    publish("step", measure(arguments.quick, arguments.threads, sizes), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
