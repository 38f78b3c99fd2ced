"""One training step of ours and of first-order methods on plain batches: what steps and memory are measured with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fl.studies.random_opt import likelihood

RATE, MU = 1e-6, 1e-3


class Ours:
    """Every weight trained; `signs` moves by the sign alone."""

    def __init__(self, model: Any, rows: int, threads: int, half: bool = False, signs: bool = False) -> None:
        from fl.replica import Replica

        self.replica = Replica(model, likelihood(model, rows), ("*",), threads=threads, half=half)
        self.seed = 0
        self._signs = signs

    def step(self, examples: list[Any]) -> None:
        from fl.update import RoundUpdate, own_moves

        self.seed += 1
        mean = float(self.replica.projections(examples, self.seed, 1, MU).mean())
        mean = (mean > 0) - (mean < 0) if self._signs else mean
        moves = own_moves(self.seed, (RATE * mean,))
        self.replica.update(RoundUpdate(self.seed, MU, 1, self.replica.probe, moves))


def first_order(model: Any, scorer: Any, kind: str) -> Callable[[list[Any]], None]:
    import torch

    from fl.first_order import option_logits

    model.network.requires_grad_(True)
    optimisers = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    optimiser = optimisers[kind](model.network.parameters(), lr=RATE)

    def step(examples: list[Any]) -> None:
        labels = torch.tensor([e.label for e in examples])
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(option_logits(model.network, scorer, examples), labels).backward()
        optimiser.step()

    return step
