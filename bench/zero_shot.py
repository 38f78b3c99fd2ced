"""What does the untrained model know?  Zero-shot accuracy, plain and with the threshold between the options chosen in hindsight.

    python -m bench.zero_shot [--task sst2 --root DIR]

The difference is the model's bias towards one option: what any training mends first, and what says nothing about the texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bench.table import Row, publish
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.tasks.registry import load_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--task", default="reviews")
    parser.add_argument("--root")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    task = load_task(arguments.task, seed=1, devices=1, train_examples=100, root=arguments.root)
    likelihood = OptionLikelihood(load_model(arguments.model), task.options, 16)
    test = task.test[: 100 if arguments.quick else None]
    labels = np.array([e.label for e in test])
    logits = likelihood.logits([likelihood.encode(task.prompt(e), e.label) for e in test])
    odds = logits[:, 1] - logits[:, 0]
    right = [float(((odds > threshold) == labels).mean()) for threshold in odds]
    note = f"{len(test)} held-out examples of {task.name}"
    rows = [
        Row("zero_shot", float(((odds > 0) == labels).mean()), "share", note),
        Row(
            "best_threshold", max(right), "share", "threshold chosen on the same examples: an upper bound, not a result"
        ),
        Row("answers_second_option", float((odds > 0).mean()), "share", f"{task.options[1]!r}"),
        Row("chance_floor", task.chance_floor, "share"),
    ]
    publish("zero_shot", rows, arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
