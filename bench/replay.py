"""How fast weights come out of their log: milliseconds a round, fused, against living through it.

    python -m bench.replay [--quick] [--json FILE] [--rounds 320] [--threads N]

OPT-125M's architecture, all 125,239,296 weights trained, P = 1, central: a round is three moves of a probe and one of the step.
A live round is that of `bench.step` at batch 16.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from bench.opt125m import batch, random_opt
from bench.step import MU, RATE, Ours, seconds
from bench.table import Row, publish


def measure(quick: bool, rounds: int, threads: int) -> list[Row]:
    import torch

    from fl.update import RoundUpdate, own_moves
    from fl.weights import Weights

    torch.set_num_threads(threads)
    size = 4 if quick else 16
    examples = batch(size)
    ours = Ours(random_opt(quick), size, threads)
    ours.step(examples)
    live = statistics.median(seconds(lambda: ours.step(examples)) for _ in range(3 if quick else 7))
    updates = [RoundUpdate(seed, MU, 1, "central", own_moves(seed, (RATE,))) for seed in range(rounds)]
    model = random_opt(quick)
    weights = Weights(model.select(("*",)), ours.replica.direction, threads)

    def replay(some: list[RoundUpdate], fused: int) -> Callable[[], None]:
        return lambda: weights.replay(some, fused)

    replay(updates[:2], 2)()
    fused = statistics.median(seconds(replay(updates, 32)) for _ in range(3)) / rounds
    few = updates[: max(2, rounds // 20)]
    alone = statistics.median(seconds(replay(few, 1)) for _ in range(3)) / len(few)
    one = 1e3 * statistics.median(_pass(weights, seed) for seed in range(9))
    note = f"{weights.size:,} weights, {threads} threads, {rounds} rounds"
    return [
        Row("replay_ms_per_round", 1e3 * fused, "ms", f"32 rounds a pass; {note}"),
        Row("replay_unfused_ms_per_round", 1e3 * alone, "ms", "one round a pass"),
        Row("pass_ms", one, "ms", "one move along one direction, all weights"),
        Row("live_round_ms", 1e3 * live, "ms", f"batch {size}, length 64"),
        Row("catch_up_1000", 1000 * fused / live, "live rounds", "time to catch up with 1,000 missed rounds"),
    ]


def _pass(weights: object, seed: int) -> float:
    from fl.update import Move
    from fl.weights import Weights

    assert isinstance(weights, Weights)
    weights.move([Move(seed, 0, MU)])
    return seconds(weights.settle)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=320)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    rounds = 32 if arguments.quick else arguments.rounds
    publish("replay", measure(arguments.quick, rounds, arguments.threads), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
